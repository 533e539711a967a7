"""The asyncio service around the pipeline: listeners, connections, intake, consumer, drain.

From settings to a running daemon:
    service        puts everything together, from settings to exit status
    assembly       makes the parts from the settings
    wanted         what the settings say of each output
    outputmaker    makes outputs, their queues and workers
    plugins        finds filters and observers by their names
    choosing       which records an output with `select` gets
    statefolder    the folder for queues and dead letters
    workingfolder  the folder where relative paths start
    sessionkeys    what a client's session is called wherever that rests
    checking       checks settings by making the parts
    store          the same for a daemon that reads a source
    partition      one partition of the source, on its way into its ring
    runner         the running daemon
    chores         what it does every few seconds
    crowding       tells of sessions that were forgotten too early
    repeating      companions that do one thing again and again
    rest           while nothing comes, when it does nothing
    notify         tells systemd how it is
    lastresort     ends it if nothing else can
    allocator      keeps its memory from coming and going

Everything that a stranger can touch, in `peers`:
    listeners      listening sockets: TCP, TLS, Unix, inherited from systemd
    tls            certificates
    acceptor       takes connections off the listening sockets and decides which may stay
    origin         where a connection comes from
    limits         what a peer may ask
    admission      whether a first frame may begin a connection
    newcomers      connections that have not shown what they are there for
    connection     one sender: cuts frames out of what arrives
    sessionend     how its session opens, and what the client is told
    peerend        refusals, and how it ends
    reading        whether its socket is read
    readturns      which connections are read in the loop's next turn
    rounds         quiet senders, read together by a thread of their own
    sockets        options of its socket
    badframes      whether bad frames are a flood
    partials       frames that are not complete yet
    shares         which account holds most of either
    intake         the bounded queue between connections and the consumer; takes turns by cost
    patience       plain senders that wait for room
    overflow       what they sent and memory has no room for, on disk
    sessions       which clients are to be told what is durable
    markreader     what other daemons have stored of a session
    losses         records that clients had to drop
    hub            what all connections share

From frames to outputs:
    pipeline       the consumer: decodes, filters, hands to the outputs
    portionthread  its thread
    gathering      how long few records wait for more
    slices         what it decodes in a slice of time
    turns          which delivery is next
    decoding       one delivery
    together       lone deliveries of many connections
    lone           the same of a round, in the rounds' thread
    loneway        the way of a round's records from there to the output
    costs          what records cost when they are written
    weights        what they weigh in memory
    decodedroom    how much may be decoded that is not stored
    sinks          where batches go

While it runs, and at its end:
    reload         settings put in force while it runs
    reloadplan     what is read and made for that before
    asking         asks the threads of outputs for something
    control        the socket that status, tail -f and managers ask
    feed           what is written, live, for followers
    status         what an operator sees
    rates          how fast counters grow
    holdings       how much of the log each output keeps
    metrics        the same for Prometheus, health and readiness
    httpserver     what serves them
    indexkeeper    has indexes of files made
    drain          the stages of a stop
"""
