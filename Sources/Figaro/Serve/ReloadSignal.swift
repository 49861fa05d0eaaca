import Dispatch
import Glibc

/// SIGHUP does what `figaro reload` does; what is wrong stands in the log.
struct ReloadSignal {
    private let source: any DispatchSourceSignal

    init(_ reloader: Reloader) {
        signal(SIGHUP, SIG_IGN)
        // A queue of its own: reading files blocks.
        let queue = DispatchQueue(label: "reload")
        source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: queue)
        source.setEventHandler { _ = reloader.reload(by: "SIGHUP") }
        source.resume()
    }

    func cancel() {
        source.cancel()
    }
}
