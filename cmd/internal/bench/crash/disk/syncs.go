package disk

// Syncs are the ops that make something durable.
func (h *History) Syncs() (all []int) {
	for i, o := range h.Ops {
		if o.isSync() {
			all = append(all, i)
		}
	}
	return all
}

// Describe names a sync by what it is of and what it made durable last.
func (h *History) Describe(sync int) string {
	for i := sync - 1; i >= h.First; i-- {
		if o := h.Ops[i]; Models[0].Keeps(h.Ops[sync], o) {
			return h.Ops[sync].Label() + " after " + o.Label()
		}
	}
	return h.Ops[sync].Label() + " after nothing"
}

// Idle reports whether a sync had nothing to make durable.
func (h *History) Idle(sync int) bool {
	for _, m := range Models {
		d := New(h, m, None)
		for i := h.First; i < sync; i++ {
			d.Step(i)
		}
		for _, i := range d.pending {
			if m.Keeps(h.Ops[sync], h.Ops[i]) {
				return false
			}
		}
	}
	return true
}

// Repeated reports whether some later sync makes durable all that a sync did.
func (h *History) Repeated(sync int) bool {
	for i := sync + 1; i < len(h.Ops); i++ {
		if h.Ops[i].Kind == h.Ops[sync].Kind && h.repeats(h.Ops[i], sync) {
			return true
		}
	}
	return false
}

func (h *History) repeats(later Op, sync int) bool {
	for _, o := range h.Ops[h.First:sync] {
		for _, m := range Models {
			if m.Keeps(h.Ops[sync], o) && !m.Keeps(later, o) {
				return false
			}
		}
	}
	return true
}
