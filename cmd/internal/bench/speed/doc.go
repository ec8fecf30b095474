// Package speed measures the shipped programs beside a peer that does the same
// work, on the same machine, in turns: each figure of ours is divided by the
// peer's of the same round, and the median of these ratios is what counts, for a
// machine that others share is fast in one minute and slow in the next.
//
//	upload  a backlog of sealed clips, agent to receipt, beside mosquitto_pub to mosquitto_sub through the same broker, and beside raw TLS
//	link    a backlog over a shaped link, beside raw TLS over the same link
//	memory  the largest memory of the agent with a large clip
//	drive   processor time of the agent while it is driven, beside age and mosquitto_pub
//	arm     instructions of the ARM agents, counted by an emulator, beside age
//
// Side: red.
package speed
