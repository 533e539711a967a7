"""The asyncio service around the pipeline: listeners, connections, intake, consumer, drain.

service      puts everything together, from settings to exit status
assembly     makes the parts from the settings
wanted       what the settings say of each output
outputmaker  makes outputs, their queues and workers
peers        everything that a stranger can touch:
  listeners    listening sockets: TCP, TLS, Unix, inherited from systemd
  acceptor     takes connections off the listening sockets and decides which may stay
  origin       who connected
  admission    whether a first frame may begin a connection
  connection   one sender: cuts frames out of what arrives
  peerend      what its peer is told, and how it ends
  reading      whether its socket is read
  readturns    which connections are read in the loop's next turn
  sockets      options of its socket
  newcomers    connections that have not shown what they are there for
  partials     frames that are not complete yet
  shares       who holds most of either
  intake       the bounded queue between connections and the consumer; takes turns by cost
  sessions     which clients are to be told what is durable
  hub          what all connections share
pipeline     the consumer: decodes, filters, hands to the outputs
slices       what it decodes in a slice of time
costs        what records cost when they are written
sinks        where its batches go
sessionkeys  what a client's session is called wherever that rests
drain        the stages of a stop
runner       the running daemon and its chores
reload       settings read anew and put in force while it runs
control      the socket that status, tail -f and managers ask
feed         what is written, live, for those who follow
status       what an operator sees
metrics      the same for Prometheus, health and readiness
httpserver   what serves them
"""
