//go:build !race

package durabletest

const underRace = false
