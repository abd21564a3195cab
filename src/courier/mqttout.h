#ifndef COURIER_MQTTOUT_H
#define COURIER_MQTTOUT_H
/*
 * Publish: hands messages to an MQTT broker, for the stores to hear.
 *
 * A driver of courier/courier.h.  QoS 1: a message is sent when the broker's PUBACK is here.  The
 * topic is <topic>/<store>/<what the rule said>; below events/ nothing may be published, because that
 * is where events come in.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct courier_driver;

struct mqttout_options {
	const char *host;
	int port;
	const char *client_id; /* of this process; the broker knows only one of a name */
	const char *user;      /* "": none */
	const char *password;
	bool tls;
	const char *tls_ca; /* "": the system's */
	const char *tls_cert, *tls_key;
	const char *topic;          /* first level */
	int64_t timeout_us;         /* for the PUBACK, and for connecting */
	const char *const *only_to; /* topics, or prefixes that end with /#; none: all */
	size_t n_only_to;
};

/* Is the topic one of these?  Pure. */
bool mqttout_is_among(const char *topic, const char *const *list, size_t n);

extern const struct courier_driver mqttout_driver;

#endif
