import ArgumentParser
import Logging
import Mail
import NIOCore
import Queue
import Storage
import Synchronization

/// Puts a group of deferred messages into a spool, through the relay's own store: the same transactions that accept and
/// file a message while mail flows, a thousand at a time. Called again, it adds another group.
///
/// What it makes is what deferring over SMTP makes, which a test compares table by table; it only takes less time.
@main struct SpoolFiller: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Fills a spool with deferred messages, for measurements.",
        discussion: """
            A million messages for fifty thousand domains, d00000.dead.example to d49999.dead.example, due in two to six
            hours:
              SpoolFiller --spool spool --messages 1000000 --domains 50000 --suffix dead.example \\
                --due-from 7200 --due-to 21600
            """)

    @Option(help: "Folder of the spool; made where it is missing. No relay may be using it.")
    var spool: String

    @Option(help: "How many messages, 1 or more.")
    var messages: Int

    @Option(help: "Over how many domains they are spread, in turn.")
    var domains: Int

    @Option(help: "What stands after the number in the name of a domain.")
    var suffix: String

    @Option(help: "What stands before it.")
    var prefix = "d"

    @Option(help: "The customer whose messages they are.")
    var customer = "acme"

    @Option(help: "Octets of a message.")
    var size = 4_096

    @Option(help: "Seconds from now on at which the first is due; negative for the past.")
    var dueFrom = 7_200

    @Option(help: "Seconds from now on by which all are due.")
    var dueTo = 21_600

    @Option(help: "Rounds of the schedule that were already used.")
    var rounds = 3

    @Flag(help: "Their domains were postponed, as they are after a try in which no host took a session.")
    var postponed = false

    @Flag(help: "Leave the history empty.")
    var noHistory = false

    func validate() throws {
        guard messages > 0, domains > 0, size >= 256, dueFrom <= dueTo, rounds > 0 else {
            throw ValidationError("messages, domains, rounds: 1 or more; size: 256 or more; due-from before due-to")
        }
    }

    func run() throws {
        let logger = Logger(label: "filler")
        let place = try Spool(path: spool)
        let store = SQLiteStore(spool: place, logger: logger)
        var gathering = History.Configuration()
        gathering.gather = Timestamp.Span(milliseconds: 100)
        gathering.pendingEvents = .max
        let history = noHistory ? nil : try History(spool: place, logger: logger, configuration: gathering)
        let state = try store.open()
        var group = Group(self, after: state)
        while let (batch, events) = group.next() {
            _ = try store.write(batch)
            history?.record(events)
        }
        var end = StoreBatch(at: SystemTime().now())
        end.state = group.state
        if postponed { end.agenda = group.postponements }
        _ = try store.write(end)
        try store.close()
        history?.stop()
    }
}

/// The messages of one call, in batches.
struct Group {
    private let settings: SpoolFiller
    private let ids: MessageID.Generator
    private let clock: Clock
    private let start: Timestamp
    private let now = SystemTime().now()
    private let body: String
    private var made = 0
    private(set) var state: StoreState

    private static let batch = 1_000
    private static let age = Timestamp.Span.hours(6)

    init(_ settings: SpoolFiller, after state: StoreState) {
        self.settings = settings
        self.state = state
        start = now + Timestamp.Span(milliseconds: -Self.age.milliseconds)
        clock = Clock(start)
        ids = MessageID.Generator(after: state.ceiling, time: clock)
        let line = String(repeating: "Some words that nobody reads. ", count: 2) + "\r\n"
        body = String(repeating: line, count: settings.size / line.utf8.count + 1)
    }

    /// The next transaction, with what the history says of its messages; nil at the end.
    mutating func next() -> (StoreBatch, [TraceEvent])? {
        let count = min(Self.batch, settings.messages - made)
        guard count > 0 else { return nil }
        var batch = StoreBatch(at: now)
        var events: [TraceEvent] = []
        let (from, to) = (Int64(settings.dueFrom) * 1_000, Int64(settings.dueTo) * 1_000)
        for _ in 0..<count {
            let accepted = message()
            batch.accepted.append(StoredMessage(message: accepted.message, recipients: accepted.recipients))
            let due = now + Timestamp.Span(milliseconds: .random(in: from...to))
            let (row, attempt) = deferral(of: accepted, due: due)
            batch.filed.append(row)
            events += [.accepted(accepted.trace), attempt]
            made += 1
        }
        return (batch, events)
    }

    var postponements: [AgendaMove] {
        let due = now + Timestamp.Span(milliseconds: Int64(settings.dueFrom) * 1_000)
        return (0..<min(settings.domains, settings.messages)).map { .postponed(domain: domain($0), until: due) }
    }

    private func domain(_ number: Int) -> String {
        let number = String(number)
        let zeros = String(repeating: "0", count: max(0, String(settings.domains - 1).utf8.count - number.utf8.count))
        return "\(settings.prefix)\(zeros)\(number).\(settings.suffix)"
    }

    private mutating func message() -> Accepted {
        let sixHours = Double(Self.age.milliseconds)
        clock.set(start + Timestamp.Span(milliseconds: Int64(sixHours * Double(made) / Double(settings.messages))))
        let id = ids.next()
        state = StoreState(floor: MessageID(value: id.value + 1), ceiling: id)
        let domain = domain(made % settings.domains)
        let recipient = Address(localPart: "reader\(made)", domain: domain)
        let sender = Address(localPart: "author", domain: "\(settings.customer).example")
        let header = """
            Received: from client.example ([127.0.0.1])\r
            \tby relay.example with ESMTP id \(id);\r
            \tMon, 01 Jan 2026 00:00:00 +0000\r
            From: author <\(sender)>\r
            To: <\(recipient)>\r
            Subject: deferred\r
            X-Test-ID: \(settings.prefix)-\(made)\r
            \r

            """
        let content = ByteBuffer(string: String((header + body).prefix(settings.size - 2)) + "\r\n")
        let message = QueuedMessage(
            id: id, customer: settings.customer, sender: .address(sender), eightBit: false, utf8: false,
            size: content.readableBytes, arrived: clock.now(), expires: now + .days(5), content: .inline(content))
        let trace = TraceEvent.Acceptance(
            message: id, at: clock.now(), customer: settings.customer, client: IPAddress(v4: 0x7F00_0001),
            helo: "client.example", tls: nil, sender: message.sender, recipients: [recipient], size: message.size)
        return Accepted(message: message, recipients: [recipient], trace: trace)
    }

    private func deferral(of accepted: Accepted, due: Timestamp) -> (WaitingRow, TraceEvent) {
        let recipient = accepted.recipients[0]
        let reply = Reply(450, EnhancedStatus(4, 2, 0), "try again later")
        let refusal = Refusal(
            host: recipient.domain, phase: .rcpt, answer: .reply(reply), cause: .unknown,
            at: accepted.message.arrived)
        let row = WaitingRow(
            key: WorkKey(message: accepted.message.id, domain: recipient.domain), customer: settings.customer,
            expires: accepted.message.expires, recipients: [recipient],
            progress: Progress(
                rounds: settings.rounds, due: due, firstRefusal: refusal, lastRefusal: refusal.description),
            onAgenda: true)
        let attempt = TraceEvent.Attempt(
            id: accepted.message.id.value, message: accepted.message.id, at: accepted.message.arrived,
            site: recipient.domain, source: "loop-127.77.0.1", sourceAddress: IPAddress(v4: 0x7F4D_0001),
            host: recipient.domain, hostAddress: IPAddress(v4: 0x7F62_0001), recipients: [recipient], phase: .rcpt,
            reply: reply, cause: .unknown, rule: "base-4", decision: "later", why: "the receiver asks to wait",
            next: due)
        return (row, .attempted(attempt))
    }
}

/// The time at which each message says that it arrived.
private final class Clock: TimeSource {
    private let time: Mutex<Timestamp>

    init(_ time: Timestamp) {
        self.time = Mutex(time)
    }

    func now() -> Timestamp { time.withLock { $0 } }

    func set(_ now: Timestamp) { time.withLock { $0 = now } }
}
