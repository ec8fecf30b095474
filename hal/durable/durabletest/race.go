//go:build race

package durabletest

// underRace: sweeps run in one goroutine, and the detector makes them twenty
// times slower.
const underRace = true
