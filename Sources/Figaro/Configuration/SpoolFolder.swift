import Glibc

/// Where queue, history and content lie.
enum SpoolFolder {
    /// `$FIGARO_HOME`, else `/var/lib/figaro` for root and `~/.local/state/figaro` for everybody else; nil when
    /// there is no home.
    static func standard() -> String? {
        if let home = getenv("FIGARO_HOME").map({ String(cString: $0) }), home.hasPrefix("/") { return home }
        if geteuid() == 0 { return "/var/lib/figaro" }
        guard let home = getenv("HOME").map({ String(cString: $0) }), home.hasPrefix("/") else { return nil }
        return home + "/.local/state/figaro"
    }
}
