import Delivery
import Intake

/// What is asked of the ``ReloadDesk``: nothing but that.
struct ReloadRequest: Codable, Sendable, Hashable {}

/// What a reload led to, as it goes over the control socket.
struct ReloadReport: Codable, Sendable, Hashable {
    /// One thing that is wrong in a file.
    struct Entry: Codable, Sendable, Hashable {
        var file: String?
        var line: Int?
        var column: Int?
        var key: String
        var message: String
        /// All of it in one line.
        var said: String
    }

    var ok: Bool
    var problems: [Entry]
    var sources: Int?
    var pools: Int?
    var customers: Int?
    var certificates: Int?
    var warnings: [String]
    /// Keys whose new values take effect at the next start.
    var atRestart: [String]
}

/// Has the relay read its files again.
struct ReloadDesk: Sendable {
    let reloader: Reloader

    func answer(_ caller: ControlCaller) -> ControlEnd {
        _ = caller.send(ReloadReport(reloader.reload(by: caller.name)))
        return ControlEnd()
    }
}

extension ReloadReport {
    init(_ outcome: Reloader.Outcome) {
        switch outcome {
        case .refused(let problems):
            self.init(
                ok: false,
                problems: problems.map { problem in
                    Entry(
                        file: problem.file, line: problem.line, column: problem.column, key: problem.path,
                        message: problem.message, said: problem.description)
                }, warnings: [], atRestart: [])
        case .done(let loaded, let atRestart, let warnings):
            self.init(
                ok: true, problems: [], sources: loaded.ipmap.sources.count, pools: loaded.ipmap.map.pools.count,
                customers: loaded.node.intake.customers.count, certificates: loaded.node.intake.certificates.count,
                warnings: warnings, atRestart: atRestart)
        }
    }
}
