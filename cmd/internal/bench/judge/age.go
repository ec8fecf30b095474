package judge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"roadseal/crypto/envelope"
	"roadseal/crypto/record"
)

// openWithAge opens an object with the stock age command, and demands what
// crypto/envelope/FORMAT.md promises to whoever has nothing else: head -c LENGTH is the original,
// tail -c 1024 is the record.
func openWithAge(ctx context.Context, age string, it item) error {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, age, "-d", "-i", it.key, it.path)
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot run age: %w", err)
	}
	fault := compareOutput(out, it)
	_, _ = io.Copy(io.Discard, out) // so that age can end and say what it thinks
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("age does not open %.12s: %w: %s", it.Name, err, strings.TrimSpace(stderr.String()))
	}
	return fault
}

func compareOutput(out io.Reader, it item) error {
	h := sha256.New()
	if n, err := io.CopyN(h, out, it.Length); err != nil {
		return fmt.Errorf("age gives %d bytes of %.12s, expected more than %d: %w", n, it.Name, it.Length, err)
	}
	if [32]byte(h.Sum(nil)) != it.sum {
		return fmt.Errorf("what age gives of %.12s is not the original", it.Name)
	}
	rest, err := io.ReadAll(out)
	if err != nil {
		return err
	}
	if len(rest) < envelope.RecordSize {
		return fmt.Errorf("age gives no record at the end of %.12s", it.Name)
	}
	rec, err := record.Parse(rest[len(rest)-envelope.RecordSize:])
	if err != nil {
		return fmt.Errorf("what age gives at the end of %.12s: %w", it.Name, err)
	}
	if rec.Nonce != it.record.Nonce {
		return fmt.Errorf("age gives another record of %.12s", it.Name)
	}
	return nil
}
