package intake

import (
	"context"
	"fmt"

	"roadseal/agent/policy"
	"roadseal/agent/spool"
	"roadseal/crypto/envelope"
	"roadseal/crypto/record"
)

// jsonType is a JSON MIME type (WHATWG MIME Sniffing, section 4.6) that puts
// the document on the grid of text streams.
const jsonType = "text/json"

// Health seals a health document and returns it as it is in the spool. sequence
// is its place among the objects of this start.
func (i *Intake) Health(ctx context.Context, content []byte, sequence uint32) (spool.Entry, error) {
	return i.json(ctx, policy.Health, content, sequence)
}

// Firmware seals a signed report of the unit's software, and returns once it is
// durable in the spool.
func (i *Intake) Firmware(ctx context.Context, report []byte, sequence uint32) error {
	_, err := i.json(ctx, policy.Firmware, report, sequence)
	return err
}

// json seals what the unit says of itself.
func (i *Intake) json(ctx context.Context, source string, content []byte, sequence uint32) (spool.Entry, error) {
	st, ok := i.opt.Streams.For(source)
	if !ok {
		return spool.Entry{}, fmt.Errorf("internal error: no stream takes %q", source)
	}
	rec := record.Record{MediaType: jsonType, Stream: st.Name, Source: source, Vehicle: i.opt.Vehicle,
		Clock: "none", Boot: i.opt.Boot, Sequence: sequence}
	size := envelope.SealedSize(i.opt.Slots, envelope.GridText(int64(len(content))))
	return i.seal(ctx, bytesReader(content), size, rec, st, spool.Tag{})
}
