package recorder

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"roadseal/cmd/internal/bench/player"
)

// A Drive is what a script is written for.
type Drive struct {
	Samples   fs.FS            // films of any kind
	Recording player.Recording // what the receiver says meanwhile
	Loops     int              // how often it is played
	Start     time.Time        // by the camera's clock
	Mark      string           // in every file
}

// A Script is every file that a recorder writes, with what an agent has to
// make of it that takes only marked clips of those it finds at its first start.
// One that it left alone then is marked at the end of the drive.
type Script struct {
	// Folders are there from the day when the card was formatted.
	Folders []string

	Old   []player.Segment // of the day before, there when the agent starts
	Drive []player.Segment // in the order of Begin; Of counts from the start of Old
}

// A moment is what all lenses film at one time.
type moment struct {
	take Take  // as it is called when it is finished
	open *Take // as it is called before that; nil: the same
	lock *Lock // once it was delivered; nil: none
	left bool  // the agent must leave it alone
	cut  bool  // a power cut ended it

	begin, end, start time.Duration // the last one by the camera's clock
	number            int           // of its first film
}

// moments are those of one loop: a clip to be locked in each way long after it
// was finished, one of each kind, and one to be locked in each way at its end.
// A copy and a link need a finished clip.
func (m Make) moments() (all []moment) {
	for _, l := range m.Locks {
		all = append(all, moment{take: m.Takes[0], lock: &l})
	}
	for _, t := range m.Takes {
		all = append(all, moment{take: t})
	}
	for _, l := range m.Locks {
		if l.How == player.Move {
			all = append(all, moment{take: l.To, open: &m.Takes[0]})
		}
	}
	for len(all) < fewest {
		all = append(all, moment{take: m.Takes[0]})
	}
	return all
}

// fewest clips make a drive of a recorder that has one kind and no lock.
const fewest = 4

// old are those of the day before: one of the ring, and a marked one that a
// power cut has ended.
func (m Make) old() []moment {
	all := []moment{{take: m.Takes[0], left: true}}
	for _, t := range m.Takes {
		if t.Kind == player.Event {
			return append(all, moment{take: t, cut: true})
		}
	}
	return all
}

// Script writes the script of a drive.
func (m Make) Script(d Drive) (Script, error) {
	films, err := player.Films(d.Samples)
	if err != nil {
		return Script{}, err
	}
	all := m.moments()
	length := time.Duration(d.Loops) * d.Recording.Length
	w := &writer{Make: m, drive: d, films: films, step: length / time.Duration(d.Loops*len(all))}
	// A name tells whole seconds.
	clock := max(w.step.Truncate(time.Second), time.Second)
	w.day = d.Start.Add(-24 * time.Hour).Truncate(time.Second)
	for i, mo := range m.old() {
		mo.start = time.Duration(i) * clock
		err = cmp.Or(err, w.moment(mo, i))
	}
	old := len(w.out)
	w.day = d.Start.Truncate(time.Second)
	for i := range d.Loops * len(all) {
		mo, n := all[i%len(all)], time.Duration(i)
		mo.begin, mo.end, mo.start = n*w.step, (n+1)*w.step, n*clock
		err = cmp.Or(err, w.moment(mo, i))
	}
	if len(m.Locks) > 0 {
		w.day = w.day.Add(-24 * time.Hour)
		err = cmp.Or(err, w.keep(m.Locks[0].To, length))
	}
	return Script{slices.Compact(slices.Sorted(slices.Values(w.folders))), w.out[:old], w.out[old:]}, err
}

// A writer writes one script.
type writer struct {
	Make
	drive   Drive
	films   map[string][]string
	step    time.Duration
	day     time.Time
	number  int // of films so far
	folders []string
	out     []player.Segment
}

// moment adds all files of a moment, the part-th of its route.
func (w *writer) moment(mo moment, part int) error {
	first := len(w.out)
	mo.number = w.number + 1
	for i := range w.Lenses {
		w.number++
		s := w.file(w.Film, mo.take, mo, i, part)
		s.Kind, s.Channel, s.Cut, s.Of = mo.take.Kind, w.Lenses[i].Channel, mo.cut && i == 0, first
		if mo.open != nil {
			s.Opened = w.name(w.Film, *mo.open, mo, i, part)
		}
		if mo.lock != nil {
			s.Lock = &player.Lock{How: mo.lock.How, To: w.name(w.Film, mo.lock.To, mo, i, part), At: mo.end + w.step}
		}
		if err := w.film(&s); err != nil {
			return err
		}
		w.add(s, mo)
	}
	err := w.beside(mo.take, mo, first, part)
	if mo.lock != nil {
		mo.begin = mo.end + w.step
		mo.end = mo.begin
		err = cmp.Or(err, w.beside(mo.lock.To, mo, first, part))
	}
	return err
}

// keep adds that the ring's clip of the day before, which the agent had to leave
// alone, is kept now.
func (w *writer) keep(to Take, at time.Duration) error {
	first, mo := len(w.out), moment{take: to, begin: at, end: at, number: 1}
	for i, lens := range w.Lenses {
		s := w.file(w.Film, to, mo, i, 0)
		s.Kind, s.Channel, s.Of, s.From = to.Kind, lens.Channel, first, w.name(w.Film, w.Takes[0], mo, i, 0)
		w.add(s, mo)
	}
	return w.beside(to, mo, first, 0)
}

// beside adds what a recorder writes beside the films that begin at first.
func (w *writer) beside(t Take, mo moment, first, part int) error {
	for _, c := range t.Beside {
		lenses := w.Lenses
		if !strings.Contains(c.Name, "{lens}") && !strings.Contains(c.Name, "{side}") {
			lenses = lenses[:1]
		}
		for i, lens := range lenses {
			s := w.file(c.Name, t, mo, i, part)
			s.Of = first
			if c.Media != "" {
				s.Kind, s.Media = t.Kind, c.Media
			}
			if strings.Contains(c.Name, "{lens}") {
				s.Channel = lens.Channel
			}
			if c.Write == nil {
				if err := w.film(&s); err != nil {
					return err
				}
			} else {
				s.Content = c.Write(w.scene(mo, s))
			}
			w.add(s, mo)
		}
	}
	return nil
}

func (w *writer) add(s player.Segment, mo moment) {
	if mo.left {
		s.Kind = ""
	}
	w.out = append(w.out, s)
}

// file is a file of a moment as far as its name tells.
func (w *writer) file(name string, t Take, mo moment, lens, part int) player.Segment {
	return player.Segment{Name: w.name(name, t, mo, lens, part), Index: len(w.out), Begin: mo.begin, End: mo.end,
		Start: w.told(strings.ReplaceAll(name, "{dir}", t.Dir), mo), LockFile: w.LockFile}
}

// saved is when a clip was saved, by the camera's clock.
func (w *writer) saved(mo moment) time.Time { return w.day.Add(mo.start + time.Second) }

// name fills in a name.
func (w *writer) name(name string, t Take, mo moment, lens, part int) string {
	l := w.Lenses[lens]
	name = strings.ReplaceAll(strings.ReplaceAll(name, "{dir}", t.Dir), "{side}", l.Side)
	if dir := path.Dir(name); !strings.Contains(dir, "{") {
		w.folders = append(w.folders, dir)
	}
	return strings.NewReplacer(
		"{time}", w.day.Add(mo.start).Format(w.Layout), "{route}", w.day.Format(w.Layout), "{save}", w.saved(mo).Format(w.Layout),
		"{part}", fmt.Sprint(part), "{number}", fmt.Sprintf(w.Count, mo.number+lens),
		"{kind}", t.Word, "{lens}", l.Word,
	).Replace(name)
}

// told is the time that a name tells.
func (w *writer) told(name string, mo moment) time.Time {
	switch {
	case strings.Contains(name, "{time}"):
		return w.day.Add(mo.start)
	case strings.Contains(name, "{route}"):
		return w.day
	case strings.Contains(name, "{save}"):
		return w.saved(mo)
	}
	return time.Time{}
}

// film gives a file the next sample of its ending.
func (w *writer) film(s *player.Segment) error {
	ext := strings.ToLower(path.Ext(s.Name))
	have := w.films[ext]
	if len(have) == 0 {
		return errors.New("no *" + ext + " file in the folder of clips, but the recorder writes such")
	}
	s.File = have[s.Index%len(have)]
	return nil
}
