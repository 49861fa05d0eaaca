import Delivery
import Glibc
import Logging
import Mail
import NIOCore
import NIOPosix
import Queue
import RelayTesting
import SMTP
import Synchronization
import Testing

/// An owner that keeps what it was told, in order.
final class RecordingOwner: SessionOwner {
    enum Report: Sendable {
        case opened(any Session, SessionFacts)
        case failed(SessionID, PhaseAnswer)
        case finished(TransactionResult)
        case closed(SessionID)
    }

    private let reports = Mutex<(all: [Report], taken: Int)>(([], 0))

    func opened(_ session: any Session, facts: SessionFacts) { keep(.opened(session, facts)) }
    func failed(_ id: SessionID, with answer: PhaseAnswer) { keep(.failed(id, answer)) }
    func finished(_ session: any Session, result: TransactionResult) { keep(.finished(result)) }
    func closed(_ id: SessionID) { keep(.closed(id)) }

    private func keep(_ report: Report) {
        reports.withLock { $0.all.append(report) }
    }

    var count: Int { reports.withLock { $0.all.count } }

    /// The next report that was not taken yet; waits 20 s for it.
    func next() async throws -> Report {
        for _ in 0..<10_000 {
            let report = reports.withLock { reports -> Report? in
                guard reports.taken < reports.all.count else { return nil }
                reports.taken += 1
                return reports.all[reports.taken - 1]
            }
            if let report { return report }
            try await Task.sleep(for: .milliseconds(2))
        }
        throw Missing()
    }

    func session() async throws -> any Session {
        let report = try await next()
        guard case .opened(let session, _) = report else { throw Unexpected(report: report) }
        return session
    }

    func failure() async throws -> PhaseAnswer {
        let report = try await next()
        guard case .failed(_, let answer) = report else { throw Unexpected(report: report) }
        return answer
    }

    func result() async throws -> TransactionResult {
        let report = try await next()
        guard case .finished(let result) = report else { throw Unexpected(report: report) }
        return result
    }

    struct Missing: Error {}
    struct Unexpected: Error {
        let report: Report
    }
}

/// Files in a folder, read by threads of their own.
struct PlainFiles: ContentFiles {
    struct NotReadable: Error {}

    func write(for id: MessageID, on loop: any EventLoop) -> any ContentWriter {
        preconditionFailure("sessions do not write")
    }

    func remove(_ names: [String]) {}

    func read(_ name: String, on loop: any EventLoop) -> EventLoopFuture<any ContentReader> {
        NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
            let file = open(name, O_RDONLY)
            guard file >= 0 else { throw NotReadable() }
            return Reader(file: file, loop: loop)
        }
    }

    final class Reader: ContentReader {
        let file: CInt
        let loop: any EventLoop

        init(file: CInt, loop: any EventLoop) {
            self.file = file
            self.loop = loop
        }

        func next(_ limit: Int) -> EventLoopFuture<ByteBuffer?> {
            NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
                // Odd pieces, so that line ends and dots fall on the borders of blocks.
                let size = min(limit, 50_021)
                let bytes = [UInt8](unsafeUninitializedCapacity: size) { space, count in
                    count = max(0, Glibc.read(self.file, space.baseAddress, size))
                }
                return bytes.isEmpty ? nil : ByteBuffer(bytes: bytes)
            }
        }

        func close() { _ = Glibc.close(file) }
    }
}

/// What a test of sessions needs: an opener that may reach loopback, and an owner.
struct SessionBench {
    let owner = RecordingOwner()
    let opener: NIOSessionOpener
    static let numbers = Atomic<UInt64>(1)

    init(
        configuration: SessionConfiguration = SessionConfiguration(),
        reach: Reach = Reach(allowed: SessionBench.loopback, listeners: [], own: [])
    ) throws {
        opener = try NIOSessionOpener(
            group: MultiThreadedEventLoopGroup.singleton, configuration: configuration, reach: reach,
            contentFiles: PlainFiles(), logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    static var loopback: [Reach.Allowed] {
        ["127.0.0.0/8", "::1/128"].compactMap { Reach.Allowed($0) }
    }

    static func plan(
        _ port: Int, from source: String = "127.0.0.1", to address: String = "127.0.0.1", host: String = "mx.example",
        tls: TLSNeed = .none
    ) throws -> SessionPlan {
        let number = numbers.wrappingAdd(1, ordering: .relaxed).newValue
        let source = Source(name: "test-1", address: try #require(IPAddress(source)), ehlo: "out-1.example")
        return SessionPlan(
            id: SessionID(value: number), source: source, host: host, address: try #require(IPAddress(address)),
            port: port, tls: tls)
    }

    func open(_ plan: SessionPlan) async throws -> any Session {
        opener.open(plan, for: owner)
        return try await owner.session()
    }

    static func transaction(
        _ content: Content, size: Int? = nil, from sender: String = "ann@a.example", to: [String] = ["bob@b.example"],
        eightBit: Bool = false, utf8: Bool = false
    ) -> Transaction {
        var length = size ?? 0
        if size == nil, case .inline(let bytes) = content { length = bytes.readableBytes }
        let now = Timestamp(milliseconds: 1_800_000_000_000)
        let message = QueuedMessage(
            id: MessageID(value: 1), customer: "acme", sender: sender.isEmpty ? .null : .address(address(sender)),
            eightBit: eightBit, utf8: utf8, size: length, arrived: now, expires: now + .days(5), content: content)
        return Transaction(message: message, recipients: to.map(address), eightBitAsIs: true)
    }

    static func transaction(_ text: String, to: [String] = ["bob@b.example"]) -> Transaction {
        transaction(.inline(ByteBuffer(string: text)), to: to)
    }

    private static func address(_ text: String) -> Address {
        let at = text.lastIndex(of: "@") ?? text.endIndex
        return Address(localPart: String(text[..<at]), domain: String(text[at...].dropFirst()))
    }
}

/// Waits 10 s for what another thread is about to bring about.
func eventually(_ condition: () -> Bool) async throws -> Bool {
    for _ in 0..<5_000 {
        if condition() { return true }
        try await Task.sleep(for: .milliseconds(2))
    }
    return false
}
