// Package mqttlink is one MQTT 3.1.1 session over TLS. It is the only place
// that knows the MQTT library (paho.mqtt.golang), and it uses it in the one mode
// that neither lies nor hangs:
//
//   - One client for one session, never reused, no reconnection by the library:
//     with it, publications complete without an acknowledgement.
//   - Nothing is kept over a session. What must survive is in the spool.
//   - Every wait has an end: 10 s to connect, 5 s for a write to move on, 10 s
//     for the peer's TCP to acknowledge, pings while nothing else happens.
//   - A guard between TLS and the library follows the packets that come in and
//     cuts the connection before a length could make it allocate without bound
//     or a packet of a shape that we never ask for could make it panic.
//
// Side: black.
package mqttlink
