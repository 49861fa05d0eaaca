package import Mail

extension MailQueue {
    package struct Configuration: Sendable {
        /// Octets that must stay free for the spool; below it nothing is accepted.
        package var minimumDiskFree: Int64 = 200 << 20
        /// Messages that may wait for the commit thread. At 5,000 a second these are 0.8 s of arrivals: whoever waits
        /// longer than that is better told to come again.
        package var pendingMessages = 4_096
        /// Octets of inline content that may wait for the commit thread.
        package var pendingBytes = 128 << 20
        /// Messages and octets of content that one transaction takes: beyond it a batch gains nothing (its fsync is
        /// then a small part of it) and only makes the first one wait for the last.
        package var batchMessages = 1_024
        package var batchBytes = 16 << 20
        /// Settlements that one transaction takes: some 40 ms of them, which is what new mail then waits at most.
        package var batchSettlements = 1_024
        /// How long a fresh message may live without being filed.
        package var fileAfter = Timestamp.Span.seconds(2)
        /// How long a settlement may wait for a commit to ride in. A completion is to be durable within 50 ms: this
        /// leaves 30 ms to the transaction.
        package var settleWithin = Timestamp.Span(milliseconds: 20)
        /// How long agenda moves and filings may wait for a commit to ride in; nothing is lost with them.
        package var moveWithin = Timestamp.Span(milliseconds: 200)
        /// How often the reader thread looks at the agenda and the disk.
        package var tick = Timestamp.Span.seconds(1)
        /// How often deadlines are looked at.
        package var expiryEvery = Timestamp.Span.seconds(3)
        /// How soon the next page of due domains is named, of domains that a start looks through, and of deadlines that
        /// have passed, while there are more: pages this small and this often leave room for fetches between them.
        package var pageEvery = Timestamp.Span(milliseconds: 50)
        /// Works whose deadline has passed that are ended at a time: some 20 ms of a transaction.
        package var expiredWorks = 500
        /// How much longer a work lives that is on the wire when its deadline passes: longer than a final dot may take
        /// (RFC 5321 section 4.5.3.2.6: 10 minutes).
        package var expiryGrace = Timestamp.Span.minutes(15)
        /// Octets of inline content that one fetch loads.
        package var fetchBytes = 8 << 20
        /// The longest pause between two tries to open a store that has failed; the first is 100 ms, each is twice the
        /// one before.
        package var recoveryPause = Timestamp.Span.seconds(30)
        /// Domains that are named as due in one call. With ``pageEvery`` these are 5,000 a second after a long stop.
        package var dueDomains = 250

        package init() {}
    }
}
