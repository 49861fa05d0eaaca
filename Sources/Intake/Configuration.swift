package import Mail
package import NIOCore
package import SMTP
package import Signing

/// What receiving needs to know of the node; decoded and checked by the executable.
package struct Configuration: Sendable {
    /// Our own name: in the banner, in `Received` and in the Message-ID of messages that have none.
    package var hostname: String
    /// 1 or more.
    package var listeners: [Listener]
    /// The first is the default, the others are chosen by the name the client asks for (RFC 6066 section 3). Needed
    /// when a listener has TLS.
    package var certificates: [CertificateFiles]
    package var customers: [Customer]
    package var limits: Limits
    /// Who gets mail for `<postmaster>` without a domain (RFC 5321 section 4.5.1); nil refuses it.
    package var postmaster: Address?
    /// How long after its arrival a message is tried.
    package var maxAge: Timestamp.Span
    /// Signs what is taken; nil signs nothing.
    package var signer: Signer?
    /// What is far more than a customer usually sends.
    package var burst = Burst()

    package init(
        hostname: String, listeners: [Listener], certificates: [CertificateFiles] = [], customers: [Customer],
        limits: Limits = Limits(), postmaster: Address? = nil, maxAge: Timestamp.Span = .days(5),
        signer: Signer? = nil
    ) {
        self.signer = signer
        self.hostname = hostname
        self.listeners = listeners
        self.certificates = certificates
        self.customers = customers
        self.limits = limits
        self.postmaster = postmaster
        self.maxAge = maxAge
    }
}

/// An address and port that customers connect to.
package struct Listener: Sendable, Hashable {
    package var address: IPAddress
    /// 0 lets the system choose.
    package var port: Int
    package var tls: TLSMode
    /// Load balancers, whose connections begin with the PROXY protocol.
    package var proxies: [IPNetwork]
    /// Load balancers that may say with XCLIENT for whom they speak.
    package var namers: [IPNetwork]

    package init(
        address: IPAddress, port: Int, tls: TLSMode = .none, proxies: [IPNetwork] = [], namers: [IPNetwork] = []
    ) {
        self.namers = namers
        self.proxies = proxies
        self.address = address
        self.port = port
        self.tls = tls
    }
}

/// Bounds on what clients may do. Octets count without CRLF where a line is meant.
package struct Limits: Sendable, Hashable {
    /// Octets of content, dot-stuffing removed.
    package var messageSize: Int
    /// Recipients of one transaction; RFC 5321 section 4.5.3.1.8 asks for at least 100.
    package var recipients: Int
    /// Sessions in all.
    package var connections: Int
    /// Sessions of one IPv4 address or one IPv6 /64.
    package var connectionsPerClient: Int
    /// Octets of a line of content (RFC 5321 section 4.5.3.1.6).
    package var lineLength: Int
    /// Octets of all header fields together.
    package var headerSize: Int
    /// `Received` fields; RFC 5321 section 6.3 asks for a large number.
    package var hops: Int
    /// Refused commands until the session ends.
    package var errors: Int
    /// From our reply to the end of the next command.
    package var commandTimeout: TimeAmount
    /// Between two pieces of content, and the head start before the data rate counts.
    package var dataTimeout: TimeAmount
    /// Content of one message, from 354 to the final dot.
    package var contentTimeout: TimeAmount
    /// Octets a second.
    package var minimumDataRate: Int

    package init(
        messageSize: Int = 50 << 20, recipients: Int = 1_000, connections: Int = 4_000,
        connectionsPerClient: Int = 200, lineLength: Int = 998, headerSize: Int = 256 << 10, hops: Int = 50,
        errors: Int = 20, commandTimeout: TimeAmount = .minutes(5), dataTimeout: TimeAmount = .minutes(3),
        contentTimeout: TimeAmount = .hours(1), minimumDataRate: Int = 100
    ) {
        self.messageSize = messageSize
        self.recipients = recipients
        self.connections = connections
        self.connectionsPerClient = connectionsPerClient
        self.lineLength = lineLength
        self.headerSize = headerSize
        self.hops = hops
        self.errors = errors
        self.commandTimeout = commandTimeout
        self.dataTimeout = dataTimeout
        self.contentTimeout = contentTimeout
        self.minimumDataRate = minimumDataRate
    }
}
