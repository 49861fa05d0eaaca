import Glibc
import Intake
import Mail

/// Whether the places that a relay listens on are free, tried before it touches its spool: one that finds its port
/// taken after it began to deliver would have been a second relay for a moment.
///
/// Who takes a port between this and the real binding is found there.
enum PlaceChecks {
    /// Why a place cannot be had, and what to do about it.
    struct Taken: Error, CustomStringConvertible {
        var description: String
    }

    static func run(_ node: NodeConfiguration) throws {
        for listener in node.intake.listeners { try port(listener.port, listener.address, "mail") }
        if let metrics = node.metrics { try port(metrics.port, metrics.address, "metrics") }
        do throws(UnixSocket.Failure) {
            try ControlServer.removeStale(node.control)
        } catch {
            guard error.code == EADDRINUSE else { return }
            throw Taken(description: "another relay is running on \(node.control); one spool is for one relay")
        }
    }

    private static func port(_ port: Int, _ address: IPAddress, _ what: String) throws(Taken) {
        guard let code = SourceBinding.failure(address, port: UInt16(clamping: port)) else { return }
        var words = "cannot listen for \(what) on \(address) port \(port): \(String(cString: strerror(code)))"
        switch code {
        case EADDRINUSE:
            words += "; another relay or mailserver has it: `ss -ltnp 'sport = :\(port)'` names it"
        case EACCES, EPERM:
            words += "; ports below 1024 are for root, or for a service with CAP_NET_BIND_SERVICE"
        case EADDRNOTAVAIL:
            words += "; this machine does not have the address: `ip address`, or a local route for a whole network"
        default: break
        }
        throw Taken(description: words)
    }
}
