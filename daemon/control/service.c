/* SPDX-License-Identifier: MIT */
/* org.varlink.service: what this service is and speaks. */
#include "daemon/control/interfaces.h"
#include "daemon/control/methods.h"
#include "daemon/control/params.h"

#include <string.h>

static const char service_interface[] =
    "# The Varlink Service Interface is provided by every varlink service. It\n"
    "# describes the service and the interfaces it implements.\n"
    "interface org.varlink.service\n"
    "\n"
    "# Get a list of all the interfaces a service provides and information\n"
    "# about the implementation.\n"
    "method GetInfo() -> (\n"
    "    vendor: string,\n"
    "    product: string,\n"
    "    version: string,\n"
    "    url: string,\n"
    "    interfaces: []string\n"
    ")\n"
    "\n"
    "# Get the description of an interface that is implemented by this service.\n"
    "method GetInterfaceDescription(interface: string) -> (description: string)\n"
    "\n"
    "# The requested interface was not found.\n"
    "error InterfaceNotFound (interface: string)\n"
    "\n"
    "# The requested method was not found\n"
    "error MethodNotFound (method: string)\n"
    "\n"
    "# The interface defines the requested method, but the service does not\n"
    "# implement it.\n"
    "error MethodNotImplemented (method: string)\n"
    "\n"
    "# One of the passed parameters is invalid.\n"
    "error InvalidParameter (parameter: string)\n"
    "\n"
    "# Client is denied access\n"
    "error PermissionDenied ()\n"
    "\n"
    "# Method is expected to be called with 'more' set to true, but wasn't\n"
    "error ExpectedMore ()\n";

static const struct interface {
    const char *name;
    const char *description;
} interfaces[] = {
    {"org.varlink.service", service_interface},
    {"io.msgd", io_msgd_interface},
};

#define N_INTERFACES (sizeof(interfaces) / sizeof(interfaces[0]))

void method_service_get_info(struct call *call)
{
    struct json_writer *w;

    if (!params_parse(call, NULL, 0))
        return;
    w = call_begin_reply(call);
    json_put_string(w, "vendor", "msgd");
    json_put_string(w, "product", "msgd");
    json_put_string(w, "version", MSGD_VERSION);
    json_put_string(w, "url", "https://msgd.io/");
    json_begin_array(w, "interfaces");
    for (size_t i = 0; i < N_INTERFACES; i++)
        json_put_string(w, NULL, interfaces[i].name);
    json_end_array(w);
    call_finish(call);
}

static const char *find_description(const char *name)
{
    for (size_t i = 0; i < N_INTERFACES; i++)
        if (strcmp(interfaces[i].name, name) == 0)
            return interfaces[i].description;
    return NULL;
}

void method_get_interface_description(struct call *call)
{
    const char *name = NULL, *description;
    const struct param params[] = {{"interface", PARAM_STRING, true, &name}};

    if (!PARAMS_PARSE(call, params))
        return;
    description = find_description(name);
    if (description)
        json_put_string(call_begin_reply(call), "description", description);
    else
        json_put_string(call_begin_error(call, "org.varlink.service.InterfaceNotFound"),
                        "interface", name);
    call_finish(call);
}
