package broker

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCloseWhileClientsLeave: mochi takes a client that leaves out of its list,
// and Close reads that list.
func TestCloseWhileClientsLeave(t *testing.T) {
	for range 20 {
		b, err := Start(Options{Address: "127.0.0.1:0"}) // nobody connects
		require.NoError(t, err)
		stop := make(chan struct{})
		var leaving sync.WaitGroup
		for range 4 {
			leaving.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						b.server.Clients.Delete("one that leaves")
					}
				}
			})
		}
		closed := make(chan error, 1)
		go func() { closed <- b.Close() }()
		select {
		case err := <-closed:
			require.NoError(t, err)
		case <-time.After(30 * time.Second):
			t.Fatal("Close does not return")
		}
		close(stop)
		leaving.Wait()
	}
}
