package health

import (
	"encoding/json"

	"roadseal/agent/spool"
)

// A Document is what the key holder of the health stream reads: the status of
// the unit, and every object that was lost since the document before.
type Document struct {
	Version  int     `json:"roadseal_health"` // of this format: 1
	Boot     uint32  `json:"boot"`
	Sequence uint32  `json:"sequence"` // Boot and Sequence put documents in order
	Losses   []Loss  `json:"losses"`
	More     int     `json:"more_losses"` // that are not in this document but in the next
	Status   *Status `json:"status"`
}

// Loss is an object that left the spool without a receipt. The same loss may
// stand in two documents, if power was cut between them; Object tells.
type Loss struct {
	Reason   string `json:"reason"` // "evicted": it gave way to others; "damaged": its bytes are no longer those that were sealed
	Object   string `json:"object"` // name of the sealed object
	Stream   string `json:"stream"`
	Class    int    `json:"class"` // retention class
	Boot     uint32 `json:"boot"`
	Sequence uint32 `json:"sequence"`
	Size     int64  `json:"size"` // bytes of the sealed object
}

// MaxLosses is how many losses a document holds: with them it stays on the grid
// of text streams.
const MaxLosses = 150

// NewDocument makes a document; it takes as many losses as there is room for
// and returns those.
func NewDocument(s *Status, sequence uint32, losses []spool.Loss) (Document, []spool.Loss) {
	d := Document{Version: 1, Boot: s.Boot, Sequence: sequence, Losses: []Loss{}, Status: s}
	told := losses[:min(MaxLosses, len(losses))]
	for _, l := range told {
		d.Losses = append(d.Losses, Loss{Reason: l.Reason, Object: l.Name.String(), Stream: l.Stream, Class: l.Class,
			Boot: l.Boot, Sequence: l.Sequence, Size: l.Size})
	}
	d.More = len(losses) - len(told)
	return d, told
}

// Marshal writes the document as indented JSON with a newline at its end.
func (d Document) Marshal() ([]byte, error) {
	b, err := json.MarshalIndent(d, "", " ")
	return append(b, '\n'), err
}
