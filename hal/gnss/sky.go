package gnss

// A sky is what the GSV sentences since the last epoch's end say, by talker:
// each constellation has its own.
type sky struct {
	inView [talkers]int64
	signal int64
	said   bool
}

// gsv reads one sentence of a round: satellites in view, then number, elevation,
// azimuth and signal of up to four of them. A receiver of several signals says
// the round of a constellation once for each.
func (s *sky) gsv(from int, f *fields) {
	n := count(f.at(3))
	if n < 0 {
		return
	}
	s.said = true
	s.inView[from] = max(s.inView[from], int64(n))
	for i := 7; i < f.n; i += 4 {
		if v, ok := digits(f.at(i)); ok && v < 100 {
			s.signal = max(s.signal, v)
		}
	}
}

// tell puts the sky into the counters and begins a new one. Many receivers say
// GSV only every few epochs.
func (s *sky) tell(to *Stats) {
	if !s.said {
		return
	}
	to.InView, to.Signal = 0, s.signal
	for _, n := range s.inView {
		to.InView += n
	}
	*s = sky{}
}
