import Delivery
import Intake
import Mail
import NIOCore
import SMTP

extension NodeConfigurationFile {
    /// The `limits:` section.
    func limits(_ section: Section, _ minimumDiskFree: inout Int) -> Limits {
        var limits = Limits()
        section.set(&limits.messageSize, "message_size") { $0.size(1 << 10...1 << 30) }
        // RFC 5321 section 4.5.3.1.8: a server must take 100.
        section.set(&limits.recipients, "recipients") { $0.int(100...100_000) }
        section.set(&limits.connections, "connections") { $0.int(1...1_000_000) }
        section.set(&limits.connectionsPerClient, "connections_per_client") { $0.int(1...1_000_000) }
        // RFC 5321 section 4.5.3.1.6 without the CRLF.
        section.set(&limits.lineLength, "line_length") { $0.int(998...1 << 20) }
        section.set(&limits.headerSize, "header_size") { $0.size(4 << 10...64 << 20) }
        section.set(&limits.hops, "hops") { $0.int(10...1_000) }
        section.set(&limits.errors, "errors") { $0.int(1...1_000) }
        section.set(&limits.commandTimeout, "command_timeout") { $0.time(.seconds(1)...(.hours(1))) }
        section.set(&limits.dataTimeout, "data_timeout") { $0.time(.seconds(1)...(.hours(1))) }
        section.set(&limits.contentTimeout, "content_timeout") { $0.time(.seconds(10)...(.hours(24))) }
        section.set(&limits.minimumDataRate, "minimum_data_rate") { $0.size(1...1 << 30) }
        section.set(&minimumDiskFree, "minimum_disk_free") { $0.size(1 << 20...1 << 50) }
        if limits.headerSize > limits.messageSize {
            section.place(of: "header_size", or: "message_size").complain(
                "header_size (\(Units.text(octets: limits.headerSize))) is more than message_size "
                    + "(\(Units.text(octets: limits.messageSize)))")
        }
        if limits.connectionsPerClient > limits.connections {
            section.place(of: "connections_per_client", or: "connections").complain(
                "connections_per_client (\(limits.connectionsPerClient)) is more than connections "
                    + "(\(limits.connections))")
        }
        if minimumDiskFree < limits.messageSize {
            section.place(of: "minimum_disk_free", or: "message_size").complain(
                "minimum_disk_free (\(Units.text(octets: minimumDiskFree))) must hold at least one message of "
                    + "message_size (\(Units.text(octets: limits.messageSize)))")
        }
        return limits
    }

    /// The `delivery:` section.
    func delivery(_ section: Section) -> DeliverySection {
        var read = DeliverySection()
        section.set(&read.planner.schedule, "schedule") { schedule in
            schedule.list(atLeast: 1, atMost: 100) { $0.span(.milliseconds(10)...(.days(7))) }
        }
        section.set(&read.planner.jitter, "jitter") { $0.double(0...0.9) }
        section.set(&read.maxAge, "max_age") { $0.span(.seconds(1)...(.days(30))) }
        section.set(&read.planner.sessions, "sessions") { $0.int(1...100_000) }
        section.set(&read.planner.sessionsPerSite, "sessions_per_site") { $0.int(1...100_000) }
        section.set(&read.planner.sessionLifetime, "session_lifetime") { $0.span(.milliseconds(100)...(.hours(1))) }
        section.set(&read.planner.sessionIdle, "session_idle") { $0.span(.milliseconds(0)...(.minutes(10))) }
        section.set(&read.planner.recipientsPerTransaction, "recipients_per_transaction") { $0.int(1...1_000) }
        section.set(&read.planner.window, "window") { $0.int(100...1_000_000) }
        section.set(&read.planner.refusesEightBit, "eight_bit") { $0.word(EightBitWord.self)?.refuses }
        section.set(&read.planner.port, "port") { $0.int(1...65_535) }
        _ = section.optional("timeouts")?.section { timeouts(&read.session, $0) }
        section.set(&read.allow, "allow") { allow in
            allow.list { field in
                field.value("a network with or without a port, such as 10.0.0.0/8 or 127.0.0.1/32:2526") {
                    Reach.Allowed($0)
                }
            }
        }
        if let first = read.planner.schedule.first, first > read.maxAge {
            section.place(of: "schedule", or: "max_age").complain(
                "the first wait (\(Units.text(first))) is longer than max_age (\(Units.text(read.maxAge))), "
                    + "so nothing would be tried twice")
        }
        if read.planner.sessionsPerSite > read.planner.sessions {
            section.place(of: "sessions_per_site", or: "sessions").complain(
                "sessions_per_site (\(read.planner.sessionsPerSite)) is more than sessions (\(read.planner.sessions))")
        }
        return read
    }

    /// RFC 5321 section 4.5.3.2 says how long a client should wait; the defaults do.
    private func timeouts(_ session: inout SessionConfiguration, _ section: Section) {
        let range = Timestamp.Span.milliseconds(100)...Timestamp.Span.hours(1)
        section.set(&session.connect, "connect") { $0.time(range) }
        section.set(&session.deadlines.banner, "banner") { $0.time(range) }
        section.set(&session.deadlines.ehlo, "ehlo") { $0.time(range) }
        section.set(&session.deadlines.mail, "mail") { $0.time(range) }
        section.set(&session.deadlines.rcpt, "rcpt") { $0.time(range) }
        section.set(&session.deadlines.data, "data") { $0.time(range) }
        section.set(&session.deadlines.block, "block") { $0.time(range) }
        section.set(&session.deadlines.dot, "dot") { $0.time(range) }
    }
}

/// What becomes of 8-bit content where no host offers 8BITMIME.
private enum EightBitWord: String, CaseIterable {
    case asIs = "as_is"
    case refuse

    var refuses: Bool { self == .refuse }
}

/// What the `delivery:` section says, for the parts that it is about.
struct DeliverySection {
    var planner = PlannerConfiguration()
    var session = SessionConfiguration()
    var allow: [Reach.Allowed] = []
    /// How long after its arrival a message is tried (RFC 5321 section 4.5.4.1).
    var maxAge: Timestamp.Span = .days(5)
}

extension Timestamp.Span {
    fileprivate static func milliseconds(_ count: Int64) -> Timestamp.Span { Timestamp.Span(milliseconds: count) }
}

extension Section {
    /// Replaces a default where the key is given and its value is right.
    func set<T>(_ value: inout T, _ name: String, _ read: (Field) -> T?) {
        if let given = optional(name).flatMap(read) { value = given }
    }

    /// The key that stands there, for a complaint about two that contradict each other.
    func place(of name: String, or other: String) -> Field {
        place(of: name) ?? place(of: other) ?? whole
    }
}

extension Field {
    /// A span for a deadline inside the process.
    func time(_ range: ClosedRange<Timestamp.Span>) -> TimeAmount? {
        span(range).map { .milliseconds($0.milliseconds) }
    }
}
