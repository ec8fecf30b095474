// Package judge is the key holder and the examiner of a bench run: it looks into
// the store while the run goes on, opens everything at its end, compares it with
// what receiver and camera have said, and checks all that has to hold.
//
// Side: red.
package judge
