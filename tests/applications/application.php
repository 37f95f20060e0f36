<?php
// An application with PHP's own session cookie: logs users in, greets them.

session_start();
switch (parse_url($_SERVER["REQUEST_URI"], PHP_URL_PATH)) {
    case "/php/login":
        session_regenerate_id(true);
        $_SESSION["user"] = $_POST["user"];
        header("Location: /php/page", true, 303);
        break;
    case "/php/logout":
        session_destroy();
        setcookie(session_name(), "", 1, "/");
        echo "bye";
        break;
    default:
        echo "hello ", $_SESSION["user"] ?? "nobody";
}
