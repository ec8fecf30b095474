package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseKills(t *testing.T) {
	k, err := ParseKills("agent=20,broker=3")
	require.NoError(t, err)
	require.Equal(t, Kills{"agent": 20, "broker": 3}, k)
	require.Equal(t, 23, k.total())
	k, err = ParseKills("")
	require.NoError(t, err)
	require.Zero(t, k.total())
	for _, bad := range []string{"agent", "agent=", "agent=x", "agent=-1", "sealer=2", "agent=1,", "agent=1,agent=2", "agent = 1"} {
		_, err := ParseKills(bad)
		require.ErrorContains(t, err, "--kill", bad)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{Speed: 1, Loops: 1, MaxAge: 5 * time.Second}
	require.NoError(t, good.check())
	for flag, spoil := range map[string]func(*Options){
		"--speed":                               func(o *Options) { o.Speed = 0 },
		"--loop":                                func(o *Options) { o.Loops = 0 },
		"--rate":                                func(o *Options) { o.Rate = -1 },
		"--max-age":                             func(o *Options) { o.MaxAge = time.Millisecond },
		"--cut-every":                           func(o *Options) { o.CutEvery = time.Millisecond },
		"--broker embedded or mosquitto":        func(o *Options) { o.Broker = "emqx" },
		"--broker-profile: no broker is known":  func(o *Options) { o.Profile = "azure" },
		"leave out --broker-profile":            func(o *Options) { o.Broker, o.Profile = Mosquitto, "aws" },
		"enforces limits of its own and is not": func(o *Options) { o.Broker, o.Kill = Mosquitto, Kills{"broker": 1} },
		"--recorder":                            func(o *Options) { o.Recorder = "nikon" },
		"--hostile":                             func(o *Options) { o.Recorder, o.Hostile = "viofo", true },
	} {
		o := good
		spoil(&o)
		require.ErrorContains(t, o.check(), flag)
	}
}

func TestProgramsAreLookedForBesideTheBench(t *testing.T) {
	p := Programs{Bench: "/bin/true", Agent: "/bin/true"}
	require.ErrorContains(t, p.Beside(false), "cannot find roadseal-collector")
	require.ErrorContains(t, p.Beside(false), "--collector PATH")
	p = Programs{Agent: "/bin/true", Collector: "/bin/true", Age: "/gone"}
	require.ErrorContains(t, p.Beside(false), "cannot find age")
	p.Age = "/bin/true"
	require.NoError(t, p.Beside(false))
	require.ErrorContains(t, p.Beside(true), "cannot find roadseal-sign")
	require.ErrorContains(t, p.Beside(true), "--sign PATH")
	require.NotEmpty(t, p.Bench)
}
