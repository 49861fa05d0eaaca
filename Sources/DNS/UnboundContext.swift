import CUnbound
import Glibc

/// A libunbound context: resolves on a thread of its own, hands answers out where ``process()`` is called.
///
/// Used by one thread only, the one of ``ResolverThread``.
final class UnboundContext {
    private let context: OpaquePointer
    private var questions: [UInt: Int32] = [:]
    private var lastTicket: UInt = 0
    private let inbox = Answers()

    /// Where the C callback leaves answers until ``process()`` returns.
    fileprivate final class Answers {
        var arrived: [(ticket: UInt, lookup: Lookup)] = []
    }

    /// What libunbound holds for a question while it is under way.
    fileprivate final class Call {
        let ticket: UInt
        let type: RecordType
        let inbox: Answers

        init(ticket: UInt, type: RecordType, inbox: Answers) {
            self.ticket = ticket
            self.type = type
            self.inbox = inbox
        }
    }

    private var calls: [UInt: Unmanaged<Call>] = [:]

    init(_ configuration: UnboundResolver.Configuration) throws(UnboundResolver.SetupError) {
        guard let context = ub_ctx_create() else { throw .unbound("cannot create a context") }
        do throws(UnboundResolver.SetupError) {
            try Self.configure(context, configuration)
        } catch {
            ub_ctx_delete(context)
            throw error
        }
        self.context = context
    }

    deinit {
        for ticket in Array(calls.keys) { cancel(ticket) }
        ub_ctx_delete(context)
    }

    /// Readable when ``process()`` has something to do.
    var descriptor: Int32 { ub_fd(context) }

    /// Asks; the answer comes out of ``process()`` under the ticket. nil when libunbound does not take the question.
    func ask(_ question: Question) -> UInt? {
        lastTicket &+= 1
        let ticket = lastTicket
        let call = Unmanaged.passRetained(Call(ticket: ticket, type: question.type, inbox: inbox))
        var id: Int32 = 0
        let code = ub_resolve_async(
            context, question.name + ".", Int32(question.type.rawValue), 1, call.toOpaque(), receive, &id)
        guard code == UB_NOERROR.rawValue else {
            call.release()
            return nil
        }
        questions[ticket] = id
        calls[ticket] = call
        return ticket
    }

    /// Forgets a question; its answer never comes.
    func cancel(_ ticket: UInt) {
        guard let id = questions.removeValue(forKey: ticket), let call = calls.removeValue(forKey: ticket) else {
            return
        }
        // Otherwise libunbound no longer knows the question and may be about to call back: leaking the few bytes of the
        // call is safe, freeing them is not.
        if ub_cancel(context, id) == UB_NOERROR.rawValue { call.release() }
    }

    /// Takes what has arrived.
    func process() -> [(ticket: UInt, lookup: Lookup)] {
        ub_process(context)
        let arrived = inbox.arrived.filter { calls[$0.ticket] != nil }
        for (ticket, _) in inbox.arrived {
            questions[ticket] = nil
            calls.removeValue(forKey: ticket)?.release()
        }
        inbox.arrived.removeAll(keepingCapacity: true)
        return arrived
    }

    // MARK: Setting up

    private static func configure(
        _ context: OpaquePointer, _ configuration: UnboundResolver.Configuration
    ) throws(UnboundResolver.SetupError) {
        var options = [
            // A forwarder on this machine is the usual case, and forbidden by default.
            ("do-not-query-localhost:", "no"),
            // Private addresses have names where somebody gave them some, and only the configured servers know.
            ("unblock-lan-zones:", "yes"),
            // A forwarder that was away for a moment is asked again soon, not after fifteen minutes.
            ("infra-host-ttl:", "60"),
            ("infra-keep-probing:", "yes"),
            ("module-config:", configuration.trustAnchor == nil ? "iterator" : "validator iterator"),
            // As a library it would keep 16 questions on the way; one domain alone may have twenty.
            ("outgoing-range:", "1000"),
            ("num-queries-per-thread:", "4096"),
            ("rrset-cache-size:", "16m"),
            ("msg-cache-size:", "8m"),
        ]
        if let hints = configuration.rootHints {
            try Self.readable(hints)
            options.append(("root-hints:", hints))
        }
        for (name, value) in options {
            try check(ub_ctx_set_option(context, name, value), "option \(name) \(value)")
        }
        if let anchor = configuration.trustAnchor {
            try Self.readable(anchor)
            try check(ub_ctx_add_ta_file(context, anchor), "trust anchor \(anchor)")
        }
        try forward(context, configuration)
        try check(ub_ctx_async(context, 1), "thread")
        // Names that libunbound answers by itself although the configured servers may know better (RFC 6761 section 6.2
        // leaves `test` to them). The first call also starts the context, so what is wrong with it comes out here.
        for zone in ["test.", "invalid.", "home.arpa.", "127.in-addr.arpa."] {
            try check(ub_ctx_zone_remove(context, zone), "start")
        }
    }

    private static func forward(
        _ context: OpaquePointer, _ configuration: UnboundResolver.Configuration
    ) throws(UnboundResolver.SetupError) {
        for text in configuration.servers {
            guard let server = NameServer(text) else { throw .server(text) }
            try check(ub_ctx_set_fwd(context, server.forwardAddress), "server \(text)")
        }
        if configuration.servers.isEmpty, !configuration.recursive {
            try readable("/etc/resolv.conf")
            try check(ub_ctx_resolvconf(context, "/etc/resolv.conf"), "/etc/resolv.conf")
        }
    }

    private static func readable(_ file: String) throws(UnboundResolver.SetupError) {
        guard access(file, R_OK) == 0 else { throw .file(file, String(cString: strerror(errno))) }
    }

    private static func check(_ code: Int32, _ what: String) throws(UnboundResolver.SetupError) {
        guard code == UB_NOERROR.rawValue else {
            throw .unbound("\(what): \(ub_strerror(code).map { String(cString: $0) } ?? "error \(code)")")
        }
    }
}

/// Called by libunbound inside `ub_process`, on the thread that called it; once for each question not cancelled.
private func receive(
    _ data: UnsafeMutableRawPointer?, _ error: Int32, _ result: UnsafeMutablePointer<ub_result>?
) {
    defer { ub_resolve_free(result) }
    guard let data else { return }
    let call = Unmanaged<UnboundContext.Call>.fromOpaque(data).takeUnretainedValue()
    let lookup: Lookup
    if error != UB_NOERROR.rawValue {
        lookup = .failed(ub_strerror(error).map { String(cString: $0) } ?? "error \(error)")
    } else if let result {
        lookup = Lookup(result.pointee, as: call.type)
    } else {
        lookup = .failed("no result")
    }
    call.inbox.arrived.append((call.ticket, lookup))
}

extension Lookup {
    /// Reads what libunbound found; record data is as the peer sent it.
    fileprivate init(_ result: ub_result, as type: RecordType) {
        let ttl = max(0, Int(result.ttl))
        let secure = result.secure != 0
        if result.bogus != 0 {
            self = .failed("bogus: \(result.why_bogus.map { String(cString: $0) } ?? "not validated")")
        } else if result.nxdomain != 0 {
            self = .noName(ttl: ttl, secure: secure)
        } else if result.rcode != 0 {
            self = .failed(Self.name(ofCode: result.rcode))
        } else if result.havedata != 0 {
            let records = Self.records(result, as: type)
            self = records.isEmpty ? .failed("unreadable records") : .records(records, ttl: ttl, secure: secure)
        } else {
            self = .noData(ttl: ttl, secure: secure)
        }
    }

    private static func records(_ result: ub_result, as type: RecordType) -> [Record] {
        guard let data = result.data, let lengths = result.len else { return [] }
        var records: [Record] = []
        var index = 0
        while index < recordLimit, let item = data[index] {
            let length = min(max(0, Int(lengths[index])), 65_535)
            let bytes = item.withMemoryRebound(to: UInt8.self, capacity: length) {
                Array(UnsafeBufferPointer(start: $0, count: length))
            }
            if let record = RecordData.read(bytes, as: type) { records.append(record) }
            index += 1
        }
        return records
    }

    private static func name(ofCode code: Int32) -> String {
        switch code {
        case 1: "FORMERR"
        case 2: "SERVFAIL"
        case 4: "NOTIMP"
        case 5: "REFUSED"
        default: "response code \(code)"
        }
    }
}
