import Console
import DNS
import Delivery
import Intake
import Logging
import NIOCore
import Queue
import ServiceLifecycle
import Storage
import UnixSignals

extension Relay {
    /// Sessions inside a message get this long to finish it, and those on the wire to deliver: less than the 90 s after
    /// which service managers lose patience.
    private static let intakeGrace = TimeAmount.seconds(10)
    private static let deliveryGrace = TimeAmount.seconds(30)

    /// Serves until SIGTERM or SIGINT, then shuts down from the front to the back: no new mail, no new attempts, and
    /// what is known is written.
    func serve(ready: @escaping @Sendable () -> Void) async throws {
        // Shut down in reverse order.
        let services: [any Service] = [
            StoreService(
                queue: queue, history: history, contents: contents, unruled: unruled, paths: paths, accounts: accounts),
            DeliveryService(engine: engine, grace: Self.deliveryGrace, logger: logger),
            ControlService(control: control, console: console),
            IntakeService(intake: intake, filters: filters, grace: Self.intakeGrace, ready: ready),
        ]
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
        try await group.run()
        resolver.close()
    }

    private struct StoreService: Service {
        let queue: MailQueue
        let history: History
        let contents: ContentFolder
        let unruled: UnruledReplies
        let paths: PathStore?
        let accounts: AccountBook

        func run() async throws {
            try? await gracefulShutdown()
            await OwnThread.run {
                queue.stop()
                contents.stop()
                history.stop()
                unruled.stop()
                paths?.stop()
                accounts.close()
            }
        }
    }

    private struct DeliveryService: Service {
        let engine: DeliveryEngine
        let grace: TimeAmount
        let logger: Logger

        func run() async throws {
            try? await gracefulShutdown()
            if await engine.stop(grace: grace) == false {
                logger.warning("sessions were cut off; their messages are tried again after the start")
            }
        }
    }

    private struct ControlService: Service {
        let control: ControlServer
        let console: ConsoleServer?

        func run() async throws {
            control.start()
            try? await gracefulShutdown()
            await console?.stop()
            await OwnThread.run { control.stop() }
        }
    }

    private struct IntakeService: Service {
        let intake: IntakeServer
        let filters: FilterTier
        let grace: TimeAmount
        let ready: @Sendable () -> Void

        func run() async throws {
            intake.start()
            ready()
            try? await gracefulShutdown()
            ServiceManager.tell(.stopping)
            await intake.shutdown(grace: grace)
            await filters.stop()
        }
    }
}
