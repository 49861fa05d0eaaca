package import Mail
package import Queue
package import SMTP

/// Names one session for as long as the process lives.
package struct SessionID: Hashable, Sendable {
    package let value: UInt64

    package init(value: UInt64) {
        self.value = value
    }
}

/// One connection to open: to this address and nothing else, from this source and nothing else.
package struct SessionPlan: Sendable {
    package let id: SessionID
    package let source: Source
    /// Name of the host, for SNI and the certificate check and for the trace.
    package let host: String
    package let address: IPAddress
    package let port: Int
    package let tls: TLSNeed
    /// Who we are there; nil where nobody is asked.
    package let login: Login?

    package init(
        id: SessionID, source: Source, host: String, address: IPAddress, port: Int, tls: TLSNeed, login: Login? = nil
    ) {
        self.login = login
        self.id = id
        self.source = source
        self.host = host
        self.address = address
        self.port = port
        self.tls = tls
    }
}

/// One message for some recipients, to be sent on an open session.
package struct Transaction: Sendable {
    package let message: QueuedMessage
    /// In the order of RCPT; 1 or more.
    package let recipients: [Address]
    /// 8-bit content goes to a host that does not offer 8BITMIME, too.
    package let eightBitAsIs: Bool

    package init(message: QueuedMessage, recipients: [Address], eightBitAsIs: Bool = false) {
        self.message = message
        self.recipients = recipients
        self.eightBitAsIs = eightBitAsIs
    }
}

/// What came of one transaction.
package struct TransactionResult: Sendable {
    /// One for each recipient, in order: a positive reply at `.dot` means delivered, all else a refusal or trouble.
    package let answers: [PhaseAnswer]
    /// The session can take another transaction at once.
    package let reusable: Bool

    package init(answers: [PhaseAnswer], reusable: Bool) {
        self.answers = answers
        self.reusable = reusable
    }
}

/// What an open session knows of its peer.
package struct SessionFacts: Sendable {
    /// TLS version and cipher in one line; nil in the clear.
    package let tls: String?
    package let offers: HostOffers
    /// It offers DSN (RFC 3461): it answers for the notices that were asked for.
    package let notices: Bool

    package init(tls: String?, offers: HostOffers = .all, notices: Bool = false) {
        self.tls = tls
        self.offers = offers
        self.notices = notices
    }
}

/// Where sessions report; called on the session's event loop, never while the caller of a session's method is on the
/// stack of another session.
package protocol SessionOwner: AnyObject, Sendable {
    func opened(_ session: any Session, facts: SessionFacts)
    /// It could not be opened; it is gone.
    func failed(_ id: SessionID, with answer: PhaseAnswer)
    /// The transaction is over. When the result is not reusable, the session is gone.
    func finished(_ session: any Session, result: TransactionResult)
    /// An idle session went away: the peer closed it, or it was asked to close. A transaction that was being handed to
    /// it just then still gets its `finished`, after this, with trouble at `.mail`; nothing of it was sent.
    func closed(_ id: SessionID)
}

/// An SMTP session with one receiver; one transaction at a time.
package protocol Session: AnyObject, Sendable {
    var id: SessionID { get }
    /// Sends one transaction. May be called on any thread; on the session's own loop it is done at once.
    func send(_ transaction: Transaction)
    /// Says QUIT and closes.
    func close()
}

/// Opens sessions. One report to the owner follows each call: opened or failed.
package protocol SessionOpener: Sendable {
    func open(_ plan: SessionPlan, for owner: any SessionOwner)
}
