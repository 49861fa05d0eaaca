import Delivery
import Intake
import Logging
import NIOCore
import Queue

/// Accounts that are kept, beside what the files declare.
extension Reloader {
    /// Has every part go by the accounts that are kept, from now on and after each change; called once, before mail
    /// comes in.
    func takeUpAccounts() {
        for warning in settings.current.conflicts(with: parts.accounts.current) { logger.warning("\(warning)") }
        parts.accounts.tell { [self] kept in goOn(with: kept) }
    }

    private func goOn(with kept: KeptCustomers) {
        var kept = kept
        let loaded = settings.current
        kept.yield(to: Set(loaded.node.intake.customers.map(\.name)))
        parts.intake.replaceKept(kept.customers)
        parts.engine.assign(kept.routes)
        if let notices = loaded.noticeSettings(parts.ids, parts.group.next(), kept: kept.languages) {
            parts.queue.replaceNotices(notices)
        }
    }
}
