//! `tb get`: a client with Token Binding.

use std::net::TcpListener;

use auth_bound::token_binding::KeyParameters;
use openssl::ssl::SslOptions;
use serde_json::{Value, json};

use super::server::{Answering, Rules, Seen, Server};
use super::workshop::Workshop;
use super::{EcdsaP256, Rsa2048Pkcs15, Rsa2048Pss, key_file};

#[test]
fn get_proves_its_key_on_full_and_resumed_connections() {
    let workshop = Workshop::with_keys("get");
    for tls in ["1.2", "1.3"] {
        for parameters in [EcdsaP256, Rsa2048Pss, Rsa2048Pkcs15] {
            let key = key_file(parameters);
            let server = Server::start(Rules::default());
            let words = format!(
                "--key {key} --key-parameters {} --tls {tls} --requests 2 --resume --show",
                parameters.name()
            );
            let answer = server.get(&workshop, &words);
            assert_eq!(answer.stdout, "hello".repeat(4));
            let (reports, seen) = (answer.reports(), server.finish());
            assert_eq!((reports.len(), seen.len()), (4, 2));
            let id = workshop.id(key, parameters);
            for (place, connection) in seen.iter().enumerate() {
                assert_eq!(connection.resumed, place == 1, "{tls}: {connection:?}");
                assert_eq!(connection.offers, [[1, 0, 1, parameters.number()]]);
                let reports = &reports[2 * place..2 * place + 2];
                proved(&workshop, connection, reports, (tls, parameters, &id));
            }
            assert_ne!(seen[0].ekm, seen[1].ekm);
            assert_ne!(seen[0].messages(0), seen[1].messages(0));
        }
    }
}

/// Both ends agree about a connection with two requests, and what was sent holds there.
fn proved(
    workshop: &Workshop,
    seen: &Seen,
    reports: &[Value],
    (tls, parameters, id): (&str, KeyParameters, &str),
) {
    for (request, report) in reports.iter().enumerate() {
        assert_eq!(report["tls"], format!("TLSv{tls}"));
        assert_eq!(report["resumed"], seen.resumed);
        assert_eq!(report["negotiated"]["key_parameters"], parameters.name());
        assert_eq!(report["negotiated"]["version"], "1.0");
        assert_eq!(report["ekm"], seen.ekm);
        assert_eq!(report["provided"]["id"], id);
        assert_eq!(report["status"], 200);
        assert_eq!(json!(seen.messages(request)), report["sent"]);
        let [message] = seen.messages(request)[..] else { panic!("{seen:?}") };
        let words = format!("verify --ekm {} --key-parameters {}", seen.ekm, parameters.name());
        let said = workshop.feed_tb(&words, message.as_bytes()).line();
        assert_eq!(said, format!("verified: provided {id}"));
        let context = report["context"].as_str().unwrap();
        workshop.feed_tb(&format!("verify --context {context}"), message.as_bytes()).line();
    }
    assert_eq!(seen.messages(0), seen.messages(1), "one signature for each connection is enough");
}

#[test]
fn get_keeps_its_offer_through_a_hello_retry_request() {
    let workshop = Workshop::new("retry");
    // A client that guesses another group must begin anew.
    let server = Server::start(Rules { groups: Some("P-384"), ..Rules::default() });
    let answer = server.get(&workshop, "--tls 1.3 --show");
    let (reports, seen) = (answer.reports(), server.finish());
    assert_eq!(seen[0].offers, [[1, 0, 3, 2, 1, 0], [1, 0, 3, 2, 1, 0]]);
    assert_eq!(reports[0]["negotiated"]["key_parameters"], "ecdsap256");
    assert_eq!(reports[0]["ekm"], seen[0].ekm);
}

#[test]
fn get_breaks_off_when_the_answer_is_none_to_its_offer() {
    let workshop = Workshop::new("wrong-answers");
    let answers: [Answering; 7] = [
        // Another key, a second one, none, a higher version, and bytes too few or too many.
        |_| Some(vec![1, 0, 1, 1]),
        |_| Some(vec![1, 0, 2, 2, 1]),
        |_| Some(vec![1, 0, 0]),
        |_| Some(vec![1, 1, 1, 2]),
        |_| Some(vec![2, 0, 1, 2]),
        |_| Some(vec![]),
        |_| Some(vec![1, 0, 1, 2, 0]),
    ];
    for tls in ["1.2", "1.3"] {
        for answering in answers {
            let server = Server::start(Rules { answering, ..Rules::default() });
            let words = format!("--key-parameters ecdsap256 --tls {tls}");
            server.get(&workshop, &words).refused("(RFC 8472, section 4)");
            let seen = server.finish();
            let failure = seen[0].failure.as_deref().unwrap_or_default();
            assert!(failure.contains("unsupported extension"), "{tls}: {seen:?}");
        }
    }
}

#[test]
fn get_breaks_off_without_the_extended_master_secret() {
    let workshop = Workshop::new("master-secret");
    // SSL_OP_NO_EXTENDED_MASTER_SECRET
    let options = SslOptions::from_bits_retain(1);
    let server = Server::start(Rules { options, ..Rules::default() });
    server.get(&workshop, "--tls 1.2").refused("without the extended master secret");
    assert_eq!(server.get(&workshop, "--tls 1.2 --no-token-binding").line(), "hello");
    server.get(&workshop, "--tls 1.3").line();
    let seen = server.finish();
    assert!(seen[0].heads.is_empty(), "{seen:?}");
    assert_eq!(seen[1].offers, [[0; 0]; 0]);
    // TLS 1.3 needs no such extension.
    assert_eq!(seen[2].messages(0).len(), 1);
}

#[test]
fn get_goes_on_without_token_binding_when_the_server_does_not_have_it() {
    let workshop = Workshop::new("without");
    let answers: [Answering; 2] = [|_| None, |_| Some(vec![0, 13, 1, 2])];
    for tls in ["1.2", "1.3"] {
        for answering in answers {
            let server = Server::start(Rules { answering, ..Rules::default() });
            let answer = server.get(&workshop, &format!("--show --tls {tls}"));
            let (report, seen) = (&answer.reports()[0], server.finish());
            assert_eq!(answer.stdout, "hello");
            for name in ["negotiated", "context", "provided"] {
                assert_eq!(report[name], Value::Null, "{report}");
            }
            assert_eq!(seen[0].messages(0), [""; 0]);
        }
    }
}

#[test]
fn get_sends_what_it_is_told() {
    let workshop = Workshop::new("told");
    let server = Server::start(Rules::default());
    let told = [
        ("--no-token-binding", &[][..]),
        ("--no-message", &[]),
        ("--message stolen", &["stolen"]),
        ("--no-token-binding --message stolen --message again", &["stolen", "again"]),
    ];
    for (words, _) in told {
        assert_eq!(server.get(&workshop, words).line(), "hello");
    }
    let seen = server.finish();
    for ((words, messages), connection) in told.iter().zip(&seen) {
        assert_eq!(connection.messages(0), *messages, "{words}");
        assert_eq!(connection.offers.is_empty(), words.contains("--no-token-binding"), "{words}");
    }
}

#[test]
fn get_makes_a_request_as_it_is_described() {
    let workshop = Workshop::new("request");
    let response = "HTTP/1.1 403 Forbidden\r\nX-Word: no\r\nContent-Length: 2\r\n\r\nno";
    let server = Server::start(Rules { response, ..Rules::default() });
    let words = "--include --header X-First:one --header X-First:two --request DELETE";
    let head = "HTTP/1.1 403 Forbidden\nx-word: no\ncontent-length: 2\n\nno";
    assert_eq!(server.get(&workshop, words).line(), head);
    let seen = server.finish();
    let lines: Vec<_> = seen[0].heads[0].lines().collect();
    assert_eq!(lines[0], "DELETE /path?query HTTP/1.1");
    assert!(lines[1].starts_with("host: 127.0.0.1:"), "{lines:?}");
    assert!(lines.contains(&"x-first: one") && lines.contains(&"x-first: two"), "{lines:?}");
}

#[test]
fn get_trusts_only_whom_it_is_told_to_trust() {
    let workshop = Workshop::new("trust");
    let server = Server::start(Rules::default());
    let url = format!("https://127.0.0.1:{}/", server.port);
    workshop.tb(&format!("get {url}")).refused("the server's certificate: self-signed");
    assert_eq!(workshop.tb(&format!("get --insecure {url}")).line(), "hello");
    // Trusted, but under another name.
    let words = format!("get --ca ca.pem --connect 127.0.0.1:{} https://api.example/", server.port);
    server.get(&workshop, "").line();
    workshop.tb(&words).refused("the server's certificate: hostname mismatch");
    drop(server.finish());
}

#[test]
fn get_has_a_new_key_each_time() {
    let workshop = Workshop::new("new-key");
    let server = Server::start(Rules::default());
    let id = || {
        let reports = server.get(&workshop, "--show").reports();
        reports[0]["provided"]["id"].as_str().unwrap().to_owned()
    };
    assert_ne!(id(), id());
    drop(server.finish());
}

#[test]
fn get_refers_and_sees_when_it_is_asked_to() {
    let workshop = Workshop::with_keys("get-referred");
    let redirect = "HTTP/1.1 302 Found\r\nLocation: https://idp.example/\r\n\
                    Include-Referred-Token-Binding-ID: True\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(Rules { response: redirect, ..Rules::default() });
    let asked = |words: &str| server.get(&workshop, &format!("--show {words}")).reports();
    let report = &asked("--referred rsa.pem")[0];
    assert_eq!((&report["status"], &report["include_referred"]), (&json!(302), &json!(true)));
    assert_eq!(report["referred"]["id"], workshop.id("rsa.pem", Rsa2048Pss));
    // It counts only for a request that carried the header.
    assert_eq!(asked("--no-message")[0]["include_referred"], false);
    let seen = server.finish();
    let words = format!("verify --ekm {} --key-parameters ecdsap256", seen[0].ekm);
    let said = workshop.feed_tb(&words, seen[0].messages(0)[0].as_bytes()).line();
    assert!(said.contains(", referred "), "{said}");

    // Nor does it count but in a redirect.
    let plain = "HTTP/1.1 200 OK\r\nInclude-Referred-Token-Binding-ID: true\r\n\
                 Content-Length: 0\r\n\r\n";
    let server = Server::start(Rules { response: plain, ..Rules::default() });
    assert_eq!(server.get(&workshop, "--show").reports()[0]["include_referred"], false);
    drop(server.finish());
}

#[test]
fn get_resumes_sessions_that_the_server_keeps_and_says_when_it_cannot() {
    let workshop = Workshop::new("sessions");
    for tls in ["1.2", "1.3"] {
        for kept in [true, false] {
            // Without tickets that hold the session it is the server that must keep it.
            let options = SslOptions::NO_TICKET;
            let server = Server::start(Rules { options, keeps_sessions: kept, ..Rules::default() });
            let answer = server.get(&workshop, &format!("--resume --tls {tls}"));
            let seen = server.finish();
            assert_eq!(seen[1].resumed, kept, "{tls}: {seen:?}");
            assert_eq!(answer.stderr.contains("could not resume"), !kept, "{tls}: {answer:?}");
            assert_eq!(answer.line(), "hellohello");
            assert!(seen.iter().all(|seen| seen.messages(0).len() == 1));
        }
    }
}

#[test]
fn get_says_when_a_connection_ends_too_early() {
    let workshop = Workshop::new("early");
    let response = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(Rules { response, ..Rules::default() });
    server.get(&workshop, "").line();
    server.get(&workshop, "--requests 2").refused("HTTP: ");
    server.get(&workshop, "--http 2").refused("does not speak HTTP/2");
    drop(server.finish());
    let nobody = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    workshop.tb(&format!("get https://{nobody}/")).refused("refused");
    // Somebody who takes the call and says nothing.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = silent.local_addr().unwrap();
    workshop.tb(&format!("get --timeout 1 https://{address}/")).refused("the time is over");
}
