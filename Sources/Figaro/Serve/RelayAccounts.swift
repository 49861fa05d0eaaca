import Delivery
import Intake
import NIOCore
import Queue
import Storage

extension Relay {
    /// Opens the accounts that are kept, and has sessions know what customers usually send and what receivers say of
    /// them.
    static func openAccounts(
        _ store: AccountStore, _ intake: IntakeServer, _ engine: DeliveryEngine, _ warden: CustomerWarden,
        _ group: any EventLoopGroup
    ) async throws -> AccountBook {
        let book = try await OwnThread.run {
            let book = try AccountBook(store: store)
            try book.resume(intake)
            try book.watchHabits(of: intake, onBurst: warden.holdBurst)
            return book
        }
        warden.tellAdministrators(intake.administrator)
        group.next().scheduleRepeatedTask(initialDelay: .seconds(10), delay: .seconds(10)) { _ in
            for known in engine.customers() where known.unknown > 0 {
                intake.note(taken: known.taken, unknown: known.unknown, of: known.name)
            }
            // So much of them is lost with a kill.
            Task { await OwnThread.run { book.keepCounts() } }
        }
        group.next().scheduleRepeatedTask(initialDelay: .minutes(5), delay: .minutes(5)) { _ in
            Task { await OwnThread.run { book.keepHabits() } }
        }
        return book
    }
}
