"""Users of the sample application, who come when they come: no faster and no slower because it is slow or fast.

`live_traffic`: application and users as processes of their own, over HTTP. `direct_traffic`: the same users in threads of
this process, straight at the database, up in a moment. Both append to a log of writes (demo/customers/writelog.py), which
`demo.customers.checking` compares with the database afterwards, and to a file of times.
"""

from demo.customers.traffic.live import Traffic, TrafficSilent, direct_traffic, live_traffic

__all__ = ["Traffic", "TrafficSilent", "direct_traffic", "live_traffic"]
