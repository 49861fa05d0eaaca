package import Mail
package import NIOCore

/// What checking needs to know; decoded and checked by the executable.
package struct Configuration: Sendable, Hashable {
    /// What becomes of mail that could not be checked.
    package enum Unavailable: String, Sendable, Hashable, CaseIterable {
        /// 451: the client comes back.
        case tempfail
        /// Accepted, and kept until an operator lets it go.
        case hold
        /// Accepted, with the mark `unscanned`.
        case accept
    }

    /// What becomes of mail that is larger than what is scanned. It will be as large when it comes again, so no answer
    /// is a 4xx.
    package enum TooLarge: String, Sendable, Hashable, CaseIterable {
        /// 552.
        case reject
        /// Accepted, with the mark `unscanned`.
        case pass
    }

    /// Scores from which on something is done; nil: as rspamd says.
    package struct Thresholds: Sendable, Hashable {
        package var reject: Double?
        package var addHeader: Double?

        package init(reject: Double? = nil, addHeader: Double? = nil) {
            self.reject = reject
            self.addHeader = addHeader
        }
    }

    /// What a customer has instead; nil: as everybody.
    package struct Policy: Sendable, Hashable {
        package var thresholds: Thresholds
        package var unavailable: Unavailable?
        package var tooLarge: TooLarge?

        package init(
            thresholds: Thresholds = Thresholds(), unavailable: Unavailable? = nil, tooLarge: TooLarge? = nil
        ) {
            self.thresholds = thresholds
            self.unavailable = unavailable
            self.tooLarge = tooLarge
        }
    }

    /// rspamds or filter nodes.
    package var nodes: [NodePlace]
    package var clamd: [NodePlace]
    /// For the whole check.
    package var deadline: TimeAmount
    /// After it rspamd breaks off a scan: its own `task_timeout`, or less. Of those that do not say it themselves.
    package var scanTimeout: TimeAmount
    package var unavailable: Unavailable
    package var tooLarge: TooLarge
    /// Octets of a message that is scanned; no more than rspamd's `max_message` and clamd's `StreamMaxLength`.
    package var maxSize: Int
    package var thresholds: Thresholds
    /// By customer.
    package var customers: [String: Policy]
    /// Where this node serves its own checks, with rspamd's protocol.
    package var listeners: [FilterListener]

    package init(
        nodes: [NodePlace] = [], clamd: [NodePlace] = [], deadline: TimeAmount = .seconds(30),
        scanTimeout: TimeAmount = .seconds(8), unavailable: Unavailable = .tempfail, tooLarge: TooLarge = .reject,
        maxSize: Int = 20 << 20, thresholds: Thresholds = Thresholds(), customers: [String: Policy] = [:],
        listeners: [FilterListener] = []
    ) {
        self.nodes = nodes
        self.clamd = clamd
        self.deadline = deadline
        self.scanTimeout = scanTimeout
        self.unavailable = unavailable
        self.tooLarge = tooLarge
        self.maxSize = maxSize
        self.thresholds = thresholds
        self.customers = customers
        self.listeners = listeners
    }

    /// What holds for a customer: its own, and of the rest what holds for everybody.
    func policy(of customer: String, own: Policy? = nil) -> Policy {
        let own = own ?? customers[customer] ?? Policy()
        return Policy(
            thresholds: Thresholds(
                reject: own.thresholds.reject ?? thresholds.reject,
                addHeader: own.thresholds.addHeader ?? thresholds.addHeader),
            unavailable: own.unavailable ?? unavailable, tooLarge: own.tooLarge ?? tooLarge)
    }
}

/// An address and port at which checks are served.
package struct FilterListener: Sendable, Hashable {
    package var address: IPAddress
    /// 0 lets the system choose.
    package var port: Int

    package init(address: IPAddress, port: Int) {
        self.address = address
        self.port = port
    }
}
