package spool

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// A Loss is an object that left the spool without a receipt.
type Loss struct {
	Reason string // Evicted or Damaged
	Entry
}

// Reasons of losses: the object gave way to others, or its bytes are no longer
// those that were sealed.
const (
	Evicted = "evicted"
	Damaged = "damaged"
)

// A Total sums up objects.
type Total struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

// Totals are sums for each retention class, from class 1 on.
type Totals [Classes]Total

func (t *Totals) add(class int, objects, bytes int64) {
	t[class-1].Objects += objects
	t[class-1].Bytes += bytes
}

// All is the sum over the classes.
func (t Totals) All() (sum Total) {
	for _, c := range t {
		sum.Objects += c.Objects
		sum.Bytes += c.Bytes
	}
	return sum
}

// lossesFile names the losses that are not yet reported and sums up the others.
const (
	lossesFile = "losses"
	lossesHead = "roadseal losses 1"
)

// maxLosses is how many losses are named; the oldest ones are summed up first.
const maxLosses = 1000

// sumWord begins the lines of sums.
const sumWord = "sum"

// losses is the record of what was lost.
type losses struct {
	*record
	named  []Loss // not yet reported, oldest first
	totals map[string]*Totals
}

func newLosses() *losses {
	return &losses{totals: map[string]*Totals{Evicted: {}, Damaged: {}}}
}

// use takes a line of the file.
func (l *losses) use(text string) bool {
	word, rest, _ := strings.Cut(text, " ")
	if word == sumWord {
		return l.useSum(rest)
	}
	e, st, ok := parseFileName(rest)
	if !ok || st != queued || l.totals[word] == nil {
		return false
	}
	l.note(Loss{word, e}, 1)
	return true
}

func (l *losses) useSum(text string) bool {
	f := strings.Split(text, " ")
	if len(f) != 4 || l.totals[f[0]] == nil {
		return false
	}
	class, err1 := strconv.Atoi(f[1])
	objects, err2 := strconv.ParseInt(f[2], 10, 64)
	size, err3 := strconv.ParseInt(f[3], 10, 64)
	t := Total{objects, size}
	if errors.Join(err1, err2, err3) != nil || class < 1 || class > Classes || min(objects, size) < 0 || sumLine(f[0], class, t) != sumWord+" "+text {
		return false
	}
	l.totals[f[0]].add(class, t.Objects, t.Bytes)
	return true
}

// note counts a loss and names it, or with -1 takes it back.
func (l *losses) note(loss Loss, n int64) {
	l.totals[loss.Reason].add(loss.Class, n, n*loss.Size)
	if n > 0 {
		l.named = append(l.named, loss)
		l.named = l.named[max(0, len(l.named)-maxLosses):]
	} else {
		l.named = slices.DeleteFunc(l.named, func(o Loss) bool { return o == loss })
	}
}

// all are the lines of the file.
func (l *losses) all() iter.Seq[string] {
	return func(yield func(string) bool) {
		sums := map[string]Totals{Evicted: *l.totals[Evicted], Damaged: *l.totals[Damaged]}
		for _, o := range l.named {
			t := sums[o.Reason]
			t.add(o.Class, -1, -o.Size)
			sums[o.Reason] = t
		}
		for _, reason := range []string{Evicted, Damaged} {
			for i, t := range sums[reason] {
				if t != (Total{}) && !yield(sumLine(reason, i+1, t)) {
					return
				}
			}
		}
		for _, o := range l.named {
			if !yield(o.line()) {
				return
			}
		}
	}
}

func sumLine(reason string, class int, t Total) string {
	return fmt.Sprintf("%s %s %d %d %d", sumWord, reason, class, t.Objects, t.Bytes)
}

func (l Loss) line() string { return l.Reason + " " + l.fileName(queued) }

// lose makes it durable that undelivered objects are going to be lost. After an
// error none of them is on record.
func (s *Spool) lose(reason string, items []*item) error {
	l := s.losses
	var texts []string
	for _, it := range items {
		loss := Loss{reason, it.Entry}
		l.note(loss, 1)
		texts = append(texts, loss.line())
	}
	// Also without items: what was taken back must not stand there any more
	// once objects are gone that it names.
	if len(texts) == 0 && !l.due() {
		return nil
	}
	err := s.insist(func() error { return l.add(texts, l.all(), len(l.named)) })
	if err != nil {
		s.unnote(reason, items)
	}
	return err
}

func (s *Spool) unnote(reason string, items []*item) {
	for _, it := range items {
		s.losses.note(Loss{reason, it.Entry}, -1)
	}
}

// takeBack takes losses off the record that were none after all. Where that
// does not succeed now it is made up for by the next line, or by the next start.
func (s *Spool) takeBack(reason string, items []*item) {
	if len(items) == 0 {
		return
	}
	s.unnote(reason, items)
	s.losses.stale = true
	_ = s.insist(func() error { return s.losses.replace(s.losses.all()) })
}

// Losses returns what was lost and not yet reported, oldest first.
func (s *Spool) Losses() []Loss {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.losses.named)
}

// Reported drops losses from the record, durably; the totals keep them.
func (s *Spool) Reported(told []Loss) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.losses
	old := l.named
	l.named = slices.DeleteFunc(slices.Clone(old), func(o Loss) bool { return slices.Contains(told, o) })
	if len(l.named) == len(old) {
		return nil
	}
	err := s.insist(func() error { return l.replace(l.all()) })
	if err != nil {
		l.named = old
	}
	return err
}
