import Dispatch
import Glibc
import Intake
import Logging

/// What SIGHUP does: certificates are read again, and the files are checked, so that the next start holds no surprise.
struct Reload {
    private let source: any DispatchSourceSignal

    init(_ relay: Relay, configuration path: String?) {
        signal(SIGHUP, SIG_IGN)
        // A queue of its own: reading files blocks.
        let queue = DispatchQueue(label: "reload")
        source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: queue)
        let (intake, logger) = (relay.intake, relay.logger)
        source.setEventHandler {
            Self.reload(intake, logger, path)
        }
        source.resume()
    }

    func cancel() {
        source.cancel()
    }

    private static func reload(_ intake: IntakeServer, _ logger: Logger, _ path: String?) {
        do {
            try intake.reloadCertificates()
            logger.notice("certificates read again")
        } catch {
            logger.error("certificates not read again; the old ones stay in use", metadata: ["reason": "\(error)"])
        }
        do throws(BadConfiguration) {
            _ = try LoadedConfiguration.load(path)
            logger.notice("configuration checked: good; what changed in it takes effect at the next start")
        } catch {
            for problem in error.problems {
                logger.error(
                    "configuration checked: the next start would fail", metadata: ["problem": "\(problem)"])
            }
        }
    }
}
