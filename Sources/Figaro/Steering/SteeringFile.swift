import Delivery
import Foundation
import Glibc
import Mail

/// `steering.json` in the spool: what operators said about sources and receivers, which outlives the process.
struct SteeringFile: Sendable {
    let path: String

    /// Why it cannot be used, in words for the operator.
    struct Fault: Error, CustomStringConvertible {
        var description: String
    }

    init(spool: String) {
        path = spool + "/steering.json"
    }

    /// Sources that one order is about are written as runs of addresses: a /16 takes one.
    private struct Document: Codable {
        struct Order: Codable, Hashable {
            var by: String
            var reason: String
            /// Milliseconds since 1970.
            var since: Int64
            var until: Int64?
            /// `due`, or the id of a notice; an older file has none.
            var notice: String?
        }

        struct Hold: Codable {
            var kind: String
            var order: Order
            var addresses: [String]
        }

        struct Suspension: Codable {
            var name: String
            var order: Order
        }

        var version = 1
        var holds: [Hold] = []
        var suspensions: [Suspension] = []
        /// By name as well; an older file has none.
        var customers: [Suspension]?
    }

    /// Nothing where there is no file.
    func read() throws(Fault) -> StandingOrders {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return StandingOrders() }
            throw fault("cannot be read: \(Self.reason())")
        }
        defer { close(file) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(file, &part, part.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw fault("cannot be read: \(Self.reason())") }
            if count == 0 { break }
            bytes += part[..<count]
        }
        guard let document = try? JSONDecoder().decode(Document.self, from: Data(bytes)), document.version == 1,
            let orders = Self.orders(document)
        else {
            throw fault(
                "is damaged; mend it, or remove it: then no source is drained or disabled, no site suspended and no "
                    + "customer held")
        }
        return orders
    }

    private static func orders(_ document: Document) -> StandingOrders? {
        var orders = StandingOrders()
        for hold in document.holds {
            guard let kind = StandingOrders.Hold.Kind(rawValue: hold.kind) else { return nil }
            let order = order(hold.order)
            for text in hold.addresses {
                guard let run = AddressRun(text) else { return nil }
                for address in run { orders.holds[address] = StandingOrders.Hold(kind: kind, order: order) }
            }
        }
        for suspension in document.suspensions { orders.suspensions[suspension.name] = order(suspension.order) }
        for customer in document.customers ?? [] { orders.customers[customer.name] = order(customer.order) }
        return orders
    }

    private static func order(_ order: Document.Order) -> StandingOrders.Order {
        var read = StandingOrders.Order(
            by: order.by, reason: order.reason, since: Timestamp(milliseconds: order.since),
            until: order.until.map { Timestamp(milliseconds: $0) })
        read.notice = order.notice.map { text in MessageID(text).map { .made($0) } ?? .due }
        return read
    }

    private static func order(_ order: StandingOrders.Order) -> Document.Order {
        Document.Order(
            by: order.by, reason: order.reason, since: order.since.milliseconds, until: order.until?.milliseconds,
            notice: order.notice.map { notice in if case .made(let id) = notice { id.description } else { "due" } })
    }

    private static func document(_ orders: StandingOrders) -> Document {
        var document = Document()
        let groups = Dictionary(grouping: orders.holds.keys) { orders.holds[$0] }
        for (hold, addresses) in groups {
            guard let hold else { continue }
            document.holds.append(
                Document.Hold(
                    kind: hold.kind.rawValue, order: order(hold.order),
                    addresses: AddressRun.runs(of: addresses).map(\.description)))
        }
        document.holds.sort { ($0.order.since, $0.addresses.first ?? "") < ($1.order.since, $1.addresses.first ?? "") }
        document.suspensions = orders.suspensions.sorted { $0.key < $1.key }.map {
            Document.Suspension(name: $0.key, order: order($0.value))
        }
        guard !orders.customers.isEmpty else { return document }
        document.customers = orders.customers.sorted { $0.key < $1.key }.map {
            Document.Suspension(name: $0.key, order: order($0.value))
        }
        return document
    }

    /// Durable when it returns: a new file takes the place of the old one, so that a crash leaves one of the two.
    func write(_ orders: StandingOrders) throws(Fault) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(Self.document(orders)) else { throw fault("cannot be written as JSON") }
        let temporary = path + ".new"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw fault("cannot be written: \(Self.reason())") }
        var written = Self.write([UInt8](data), to: file) && fsync(file) == 0
        let reason = Self.reason()
        if close(file) != 0 { written = false }
        guard written else {
            unlink(temporary)
            throw fault("cannot be written: \(reason)")
        }
        guard rename(temporary, path) == 0 else { throw fault("cannot be replaced: \(Self.reason())") }
        let folder = open(String(path.dropLast("/steering.json".count)), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw fault("cannot be made durable: \(Self.reason())") }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw fault("cannot be made durable: \(Self.reason())") }
    }

    private static func write(_ bytes: [UInt8], to file: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    private func fault(_ what: String) -> Fault { Fault(description: "\(path) \(what)") }

    private static func reason() -> String { String(cString: strerror(errno)) }
}
