import ArgumentParser

/// `figaro reload`
struct ReloadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload", abstract: "Have a running relay read all its files again.",
        discussion: """
            The node's file, the ip maps, reply rules, notices' texts and certificates are read and checked together. \
            Where anything is wrong nothing changes, and each problem is named with file, line and key. Otherwise new \
            sessions go by the new settings, while those that are open keep theirs; mail keeps flowing.

            A start is needed for listeners, spool, control, user, dns, history, metrics, log and \
            limits.minimum_disk_free; the answer names those of them that have changed. SIGHUP does the same, with the \
            answer in the log.

            Examples:
              figaro reload --config /etc/figaro/relay.yaml
              figaro config check --config relay.yaml && figaro reload --config relay.yaml
              certbot renew --deploy-hook "figaro reload --config /etc/figaro/relay.yaml"

            Exit codes: 0 reloaded, 1 no relay answers, 78 something is wrong and nothing was changed.
            """)

    @OptionGroup var relay: RelayOption
    @Flag(help: "Print one JSON object.") var json = false

    func run() throws {
        var isGood = true
        _ = try relay.ask(.reload(ReloadRequest())) { line in
            guard let report = JSONLine.value(ReloadReport.self, from: line) else { return }
            isGood = report.ok
            if json { Terminal.say(line) } else { tell(report) }
        }
        if !isGood { throw ExitCode.badConfiguration }
    }

    private func tell(_ report: ReloadReport) {
        for problem in report.problems { Terminal.complain(Visible.text(problem.said)) }
        guard report.ok else { return Terminal.complain("nothing was changed") }
        for warning in report.warnings { Terminal.complain("warning: " + Visible.text(warning)) }
        Terminal.say(
            "reloaded: \(report.sources ?? 0) sources in \(report.pools ?? 0) pools, "
                + "\(report.customers ?? 0) customers, \(report.certificates ?? 0) certificates")
        if !report.atRestart.isEmpty {
            Terminal.say("changed, and taking effect at the next start: \(report.atRestart.joined(separator: ", "))")
        }
    }
}
