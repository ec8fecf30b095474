package gnss

import "math"

func (d *Decoder) gsa(from int, f *fields) {
	e := &d.epoch
	if v := precision(f.at(16)); !math.IsNaN(v) {
		e.gsa.hdop = v
	}
	used := 0
	for i := 3; i < 15; i++ {
		if len(f.at(i)) > 0 {
			used++
		}
	}
	sum := &e.gsa.apart
	if from == talkerGN {
		sum = &e.gsa.joint
	}
	*sum = max(*sum, 0) + used
}

func (d *Decoder) vtg(f *fields) {
	if f.letter(2) == 'T' {
		d.epoch.vtg.course = heading(f.at(1))
	}
	switch {
	case f.letter(6) == 'N' && len(f.at(5)) > 0:
		d.epoch.vtg.speed = within(knot*number(f.at(5)), 0, tooFast)
	case f.letter(8) == 'K':
		d.epoch.vtg.speed = within(kilometre*number(f.at(7)), 0, tooFast)
	}
}

func (d *Decoder) zda(f *fields) {
	day, ok1 := digits(f.at(2))
	month, ok2 := digits(f.at(3))
	year, ok3 := digits(f.at(4))
	if !ok1 || !ok2 || !ok3 || year < firstYear || year > lastYear {
		return
	}
	if midnight, ok := date(year, month, day); ok {
		d.anchor(midnight, clockTime(f.at(1)))
	}
}

// horizontal is the error in the plane of errors to the north and to the east,
// metres; NaN if either is not said or both are 0.
func horizontal(north, east []byte) float64 {
	return within(math.Hypot(number(north), number(east)), 1e-6, 1e6)
}
