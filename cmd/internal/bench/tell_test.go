package bench

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBarIsForTerminals(t *testing.T) {
	var out bytes.Buffer
	c := &Console{W: &out}
	c.Progress(0.5, "half")
	c.Step("done %d", 7)
	require.Equal(t, "done 7\n", out.String())
}

func TestBarGoesBeforeTheNextStep(t *testing.T) {
	var out bytes.Buffer
	c := &Console{W: &out, Bar: true}
	c.Progress(0.5, "long text")
	c.Progress(7, "x")
	c.Step("done")
	require.Equal(t, "\r  [==========          ] long text\r  [====================] x        \r                          \rdone\n", out.String())
}
