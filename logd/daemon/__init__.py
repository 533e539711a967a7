"""The asyncio service around the pipeline: listeners, connections, intake, consumer, drain.

service      puts everything together, from settings to exit status
assembly     makes the parts from the settings
listeners    listening sockets: TCP, TLS, Unix, inherited from systemd
acceptor     takes connections off the listening sockets and says who may stay
connection   one sender: cuts frames out of what arrives
intake       the bounded queue between connections and the consumer
pipeline     the consumer: decodes, filters, hands to the outputs
sinks        where its batches go
sessions     who is to be told what is durable
drain        the stages of a stop
runner       the running daemon and its chores
reload       settings read anew and put in force while it runs
control      the socket that status, tail -f and managers ask
feed         what is written, live, for those who follow
status       what an operator sees
metrics      the same for Prometheus, health and readiness
"""
