package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/config/strict"
	"roadseal/agent/policy"
	"roadseal/crypto/open"
	"roadseal/crypto/recipient"
)

func reader(t *testing.T) recipient.Key {
	t.Helper()
	id, err := open.Generate()
	require.NoError(t, err)
	return id.Recipient()
}

func complete(s policy.Set) (faults []string) {
	s.Complete(2, func(i int, key, format string, args ...any) {
		faults = append(faults, fmt.Sprintf("%d.%s: ", i, key)+fmt.Sprintf(format, args...))
	})
	return faults
}

func TestDefaults(t *testing.T) {
	s := policy.Set{{Name: "track", From: []string{policy.GNSS}, To: []recipient.Key{reader(t)}, Class: 2}}
	require.Empty(t, complete(s))
	require.Equal(t, policy.Always, s[0].Upload)
	require.Equal(t, 2, s[0].Priority)
	require.Equal(t, time.Minute, s[0].MaxAge.Duration)

	s = policy.Set{{Name: "health", From: []string{policy.Health}, To: []recipient.Key{reader(t)}, Class: 2}}
	require.Empty(t, complete(s))
	require.Equal(t, time.Hour, s[0].MaxAge.Duration, "from one document to the next")
}

func TestForAndOrder(t *testing.T) {
	r := reader(t)
	s := policy.Set{
		{Name: "event", From: []string{policy.Camera("event")}, To: []recipient.Key{r}, Class: 1},
		{Name: "video", From: []string{policy.Camera("normal"), policy.Camera("parking")}, To: []recipient.Key{r}, Class: 3, Upload: policy.Hold, Priority: 7},
	}
	require.Empty(t, complete(s))
	st, ok := s.For("camera:parking")
	require.True(t, ok)
	require.Equal(t, "video", st.Name)
	_, ok = s.For(policy.GNSS)
	require.False(t, ok)

	p, upload := s.Order("event")
	require.Equal(t, 1, p)
	require.True(t, upload)
	p, upload = s.Order("video")
	require.Equal(t, 7, p)
	require.False(t, upload)
	p, upload = s.Order("of-an-earlier-policy")
	require.Equal(t, 101, p, "goes last")
	require.True(t, upload, "and is still owed to its readers")
}

func TestFaults(t *testing.T) {
	r, q, u := reader(t), reader(t), reader(t)
	good := policy.Stream{Name: "a", From: []string{policy.GNSS}, To: []recipient.Key{r}, Class: 1}
	for want, change := range map[string]func(*policy.Stream){
		"0.name: ":                         func(s *policy.Stream) { s.Name = "A.b" },
		"0.name: expected a stream name":   func(s *policy.Stream) { s.Name = strings.Repeat("a", 17) },
		"0.from: expected at least one":    func(s *policy.Stream) { s.From = nil },
		"0.from: unknown source":           func(s *policy.Stream) { s.From = []string{"camera:crash"} },
		"0.from: \"health\" needs":         func(s *policy.Stream) { s.From = []string{"health", "gnss"} },
		"0.from: \"firmware\" needs":       func(s *policy.Stream) { s.From = []string{"firmware", "gnss"} },
		"0.from: gnss goes into":           func(s *policy.Stream) { s.From = []string{"gnss", "gnss"} },
		"0.to: expected at least one":      func(s *policy.Stream) { s.To = nil },
		"0.to: 3 readers do not fit the 2": func(s *policy.Stream) { s.To = []recipient.Key{r, q, u} },
		"0.to: reader 2 is listed twice":   func(s *policy.Stream) { s.To = []recipient.Key{r, r} },
		"0.class: ":                        func(s *policy.Stream) { s.Class = 0; s.Priority = 1 },
		"0.upload: ":                       func(s *policy.Stream) { s.Upload = "sometimes" },
		"0.priority: ":                     func(s *policy.Stream) { s.Priority = 1000 },
		"0.max_age: expected 1s to 1h":     func(s *policy.Stream) { s.MaxAge = strict.Duration{Duration: 2 * time.Hour} },
	} {
		s := good
		change(&s)
		faults := complete(policy.Set{s})
		require.Len(t, faults, 1, want)
		require.Contains(t, faults[0], want)
	}
	other := good
	require.Len(t, complete(policy.Set{good, other}), 2, "same name, same source")
}

// TestPromote: an object changes its stream where nobody loses by it.
func TestPromote(t *testing.T) {
	one, other := reader(t), reader(t)
	video := policy.Stream{Name: "video", To: []recipient.Key{one, other}, Priority: 3, Upload: policy.Always}
	for name, c := range map[string]struct {
		was  policy.Stream
		st   policy.Stream
		want string // "" for an object that is to be sealed anew
	}{
		"fewer readers":       {video, policy.Stream{To: []recipient.Key{other}, Priority: 1, Upload: policy.Always}, "event"},
		"another reader":      {video, policy.Stream{To: []recipient.Key{one, reader(t)}, Priority: 1, Upload: policy.Always}, ""},
		"of the same order":   {video, policy.Stream{To: video.To, Priority: 3, Upload: policy.Always}, "event"},
		"that would be later": {video, policy.Stream{To: video.To, Priority: 4, Upload: policy.Always}, "video"},
		"that would be held":  {video, policy.Stream{To: video.To, Priority: 1, Upload: policy.Hold}, "video"},
		"that was held":       {policy.Stream{Name: "video", To: video.To, Priority: 1, Upload: policy.Hold}, policy.Stream{To: video.To, Priority: 3, Upload: policy.Always}, "event"},
		"that is gone":        {policy.Stream{Name: "movie", To: video.To, Priority: 3, Upload: policy.Always}, policy.Stream{To: video.To, Priority: 1}, ""},
	} {
		c.st.Name = "event"
		stream, ok := policy.Set{c.st, c.was}.Promote("video", c.st)
		require.Equal(t, c.want != "", ok, name)
		require.Equal(t, c.want, stream, name)
	}
}

// TestRanks: each kind has one, and what is locked is above the ring.
func TestRanks(t *testing.T) {
	ring := map[string]bool{"normal": true, "lapse": true, "parking": true, "manual": false, "event": false}
	for _, kind := range policy.Kinds {
		require.Equal(t, ring[kind], policy.Ring(kind), kind)
		require.Less(t, policy.Rank(kind), policy.Ranks)
		for locked := range ring {
			require.False(t, policy.Ring(kind) && !policy.Ring(locked) && policy.Rank(kind) >= policy.Rank(locked))
		}
	}
	require.False(t, policy.Ring(""), "what comes from no recorder")
}
