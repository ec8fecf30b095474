package gnss

import (
	"encoding/binary"
	"slices"
	"time"
)

const (
	// answerTime is how long an answer may take: a receiver that has more to
	// say than its line takes has seconds of it in its buffer.
	answerTime = 2 * time.Second
	// answerTries is how often one command is sent.
	answerTries = 3
)

// SetupOptions configures a Setup. Now and Write must be set.
type SetupOptions struct {
	UBlox UBlox
	// Now reads a monotonic clock of any origin.
	Now func() time.Duration
	// Write sends what the line takes at once. It does not wait.
	Write func(p []byte) (n int, err error)
}

// A Setup tells a u-blox receiver its settings, one command at a time. None of
// its methods waits, so that the goroutine that reads the line can drive it. A
// receiver that leaves three tries of a command in both its forms unanswered is
// told nothing more: it is no u-blox, or does not hear.
type Setup struct {
	o        SetupOptions
	settings []setting
	report   SetupReport

	at       int           // setting under way; all: nothing to do
	form     int           // the command of the setting that is tried, at first the one that did last time
	forms    int           // how many have been tried
	tries    int           // of that command
	refused  bool          // in the form before
	waiting  bool          // it is under way or sent
	rest     []byte        // of it, not yet taken by the line
	deadline time.Duration // of its answer
	quiet    time.Duration // until when nothing is sent
}

// A SetupReport is how far a Setup has come since the port opened.
type SetupReport struct {
	Settings     int      // to be told
	Acknowledged int      // by the receiver
	Refused      []string // by name
	Unanswered   []string
}

// NewSetup returns a setup; Start begins it.
func NewSetup(o SetupOptions) *Setup {
	s := &Setup{o: o, settings: o.UBlox.settings()}
	s.Stop()
	return s
}

// Start begins anew: the port is open.
func (s *Setup) Start() {
	s.Stop()
	s.form, s.quiet = 0, 0
	s.begin(0)
	s.report = SetupReport{}
}

// begin turns to a setting.
func (s *Setup) begin(at int) {
	s.at, s.forms, s.tries, s.refused, s.waiting = at, 0, 0, false, false
}

// Stop ends it: the port is lost.
func (s *Setup) Stop() { s.at, s.waiting, s.rest = len(s.settings), false, nil }

// Report returns how far it has come. Later calls do not change what was returned.
func (s *Setup) Report() SetupReport {
	r := s.report
	r.Settings, r.Refused, r.Unanswered = len(s.settings), slices.Clone(r.Refused), slices.Clone(r.Unanswered)
	return r
}

// Step sends what can be sent now. It is to be called a few times a second at
// least, after each reading of the line.
func (s *Setup) Step() {
	now := s.o.Now()
	switch {
	case s.at == len(s.settings) || now < s.quiet:
		return
	case !s.waiting:
		s.waiting, s.rest, s.deadline = true, s.command(), now+answerTime
		s.tries++
	case now >= s.deadline:
		s.silence()
		return
	}
	if len(s.rest) > 0 {
		n, _ := s.o.Write(s.rest) // the reader of the line will hear of an error
		s.rest = s.rest[n:]
		if n > 0 {
			s.deadline = now + answerTime
		}
	}
}

func (s *Setup) command() []byte { return s.settings[s.at].commands[s.form] }

// silence goes on after a command that was not answered.
func (s *Setup) silence() {
	switch {
	case len(s.rest) > 0: // and a new command would be taken for its end
	case s.tries < answerTries:
		s.waiting = false
		return
	case s.otherForm():
		return
	case s.refused: // it does not know the other form, and does not even refuse it
		s.refuse()
		return
	}
	for _, left := range s.settings[s.at:] {
		s.report.Unanswered = append(s.report.Unanswered, left.name)
	}
	s.Stop()
}

// otherForm turns to the other command of the same setting, if it was not tried
// yet.
func (s *Setup) otherForm() bool {
	s.forms++
	s.form, s.tries, s.waiting = 1-s.form, 0, false
	return s.forms < len(s.settings[s.at].commands)
}

// Answer takes the receiver's word on the command of a class and an id: see
// Options.Answer. What was not asked is ignored.
func (s *Setup) Answer(id uint16, acknowledged bool) {
	if !s.waiting || len(s.rest) > 0 || binary.BigEndian.Uint16(s.command()[2:]) != id {
		return
	}
	if s.tries > 1 {
		// The answer to an earlier try may still come, and must not count as
		// that to the next command, of which it says nothing but the kind.
		s.quiet = s.o.Now() + answerTime
	}
	switch s.refused = s.refused || !acknowledged; {
	case acknowledged:
		s.report.Acknowledged++
		s.begin(s.at + 1)
	case !s.otherForm():
		s.refuse()
	}
}

// refuse gives up a setting that the receiver does not take.
func (s *Setup) refuse() {
	s.report.Refused = append(s.report.Refused, s.settings[s.at].name)
	s.begin(s.at + 1)
}
