/* SoftHSM as more of a device: signatures take their time, SLOWNESS microseconds each, and each PIN that it
 * refuses is a byte more in the file REFUSALS. It knows no more of PKCS #11 than where its list of functions
 * has C_Login and C_Sign (version 2.40, section 4.6). */
#include <dlfcn.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

enum { CKR_GENERAL_ERROR = 5, CKR_PIN_INCORRECT = 0xa0 };
typedef unsigned long (*log_in)(unsigned long, unsigned long, unsigned char *, unsigned long);
typedef unsigned long (*sign)(unsigned long, unsigned char *, unsigned long, unsigned char *, unsigned long *);
typedef struct {
    unsigned char version[2];
    void (*before[18])(void);
    log_in log_in;
    void (*between[24])(void);
    sign sign;
    void (*after[24])(void);
} function_list;

static function_list own, theirs;

static unsigned long counted(unsigned long session, unsigned long user, unsigned char *pin, unsigned long length)
{
    unsigned long result = theirs.log_in(session, user, pin, length);

    if (result == CKR_PIN_INCORRECT) {
        int file = open(REFUSALS, O_WRONLY | O_APPEND);
        if (file < 0 || write(file, "x", 1) != 1)
            result = CKR_GENERAL_ERROR; /* or else the count would say nothing */
        close(file);
    }
    return result;
}

static unsigned long slow(unsigned long session, unsigned char *data, unsigned long length,
                          unsigned char *signature, unsigned long *room)
{
    if (signature) /* or else only the length is asked for */
        usleep(SLOWNESS);
    return theirs.sign(session, data, length, signature, room);
}

unsigned long C_GetFunctionList(function_list **list)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    unsigned long (*get)(function_list **) = NULL;
    function_list *found = NULL;

    if (library)
        *(void **)&get = dlsym(library, "C_GetFunctionList");
    if (!get || get(&found) != 0)
        return CKR_GENERAL_ERROR;
    own = theirs = *found;
    own.log_in = counted;
    own.sign = slow;
    *list = &own;
    return 0;
}
