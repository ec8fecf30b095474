package collector

import (
	"context"
	"errors"
	"fmt"

	"roadseal/agent/mqttlink"
)

// Dial returns what Options.Dial needs for a broker: a session that is
// subscribed to the shards.
func Dial(o mqttlink.Options, s Shards) func(context.Context) (Link, error) {
	return func(ctx context.Context) (Link, error) {
		link, err := mqttlink.Dial(ctx, o)
		if err != nil {
			return nil, err
		}
		for _, filter := range s.Filters() {
			if err := link.Subscribe(ctx, filter); err != nil {
				return nil, errors.Join(fmt.Errorf("cannot subscribe to %s: %w", filter, err), link.Close())
			}
		}
		return link, nil
	}
}
