import Filtering
import Mail
import NIOCore

extension NodeConfigurationFile {
    /// The `filter:` section.
    func filter(_ section: Section) -> Filtering.Configuration {
        var filter = Filtering.Configuration()
        section.set(&filter.nodes, "nodes") { Self.places($0, "a filter such as 192.0.2.20:11333") }
        section.set(&filter.clamd, "clamd") { Self.places($0, "a clamd such as 127.0.0.1:3310 or /run/clamd.ctl") }
        section.set(&filter.deadline, "deadline") { $0.time(.seconds(1)...(.minutes(4))) }
        section.set(&filter.scanTimeout, "scan_timeout") { $0.time(.seconds(1)...(.minutes(4))) }
        section.set(&filter.unavailable, "unavailable") { $0.word() }
        section.set(&filter.tooLarge, "too_large") { $0.word() }
        section.set(&filter.maxSize, "max_size") { $0.size(64 << 10...256 << 20) }
        section.set(&filter.thresholds, "thresholds") { $0.section(self.thresholds) }
        section.set(&filter.listeners, "listen") { $0.list(atLeast: 1, atMost: 64, Self.filterListener) }
        if section.optional("nodes") == nil, section.optional("clamd") == nil {
            section.whole.complain("names neither “nodes” nor “clamd”, so that nothing would be checked")
        }
        if let own = filter.listeners.first(where: { filter.nodes.contains(.address($0.address, port: $0.port)) }) {
            section.place(of: "nodes", or: "listen").complain("\(own.address) port \(own.port) is this node itself")
        }
        return filter
    }

    /// The `filter:` of a customer.
    func filterPolicy(_ section: Section) -> Filtering.Configuration.Policy {
        Filtering.Configuration.Policy(
            thresholds: thresholds(section), unavailable: section.optional("unavailable")?.word(),
            tooLarge: section.optional("too_large")?.word())
    }

    /// Of the node, or of a customer.
    func thresholds(_ section: Section) -> Filtering.Configuration.Thresholds {
        let scores = 0.0...10_000
        let thresholds = Filtering.Configuration.Thresholds(
            reject: section.optional("reject").flatMap { $0.double(scores) },
            addHeader: section.optional("add_header").flatMap { $0.double(scores) })
        if let reject = thresholds.reject, let mark = thresholds.addHeader, mark > reject {
            section.place(of: "add_header", or: "reject").complain(
                "add_header (\(mark)) is more than reject (\(reject)), so nothing would be marked")
        }
        return thresholds
    }

    private static func places(_ field: Field, _ what: String) -> [NodePlace]? {
        guard let places = field.list(atLeast: 1, atMost: 64, { $0.value(what, NodePlace.init) }) else { return nil }
        if Set(places).count < places.count { field.complain("names one of them twice") }
        return places
    }

    private static func filterListener(_ field: Field) -> FilterListener? {
        let read = field.section { section -> FilterListener? in
            let address = section.required("address")?.address()
            let port = section.required("port")?.int(1...65_535)
            guard let address, let port else { return nil }
            return FilterListener(address: address, port: port)
        }
        return read ?? nil
    }
}

extension Filtering.Configuration {
    /// In a line.
    var summary: String {
        let asked = [("", nodes), ("clamd ", clamd)].flatMap { name, places in places.map { "\(name)\($0)" } }
        return "\(asked.joined(separator: ", ")); unavailable: \(unavailable.rawValue), "
            + "larger than \(Units.text(octets: maxSize)): \(tooLarge.rawValue)"
    }
}
