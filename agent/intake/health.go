package intake

import (
	"context"
	"errors"

	"roadseal/agent/policy"
	"roadseal/agent/spool"
	"roadseal/crypto/envelope"
	"roadseal/crypto/record"
)

// healthType is a JSON MIME type (WHATWG MIME Sniffing, section 4.6) that puts
// the document on the grid of text streams.
const healthType = "text/json"

// Health seals a health document and returns it as it is in the spool. sequence
// is its place among the objects of this start.
func (i *Intake) Health(ctx context.Context, content []byte, sequence uint32) (spool.Entry, error) {
	st, ok := i.opt.Streams.For(policy.Health)
	if !ok {
		return spool.Entry{}, errors.New("internal error: no stream takes the health of the unit")
	}
	rec := record.Record{MediaType: healthType, Stream: st.Name, Source: policy.Health, Vehicle: i.opt.Vehicle,
		Clock: "none", Boot: i.opt.Boot, Sequence: sequence}
	size := envelope.SealedSize(i.opt.Slots, envelope.GridText(int64(len(content))))
	return i.seal(ctx, bytesReader(content), size, rec, st, spool.Tag{})
}
