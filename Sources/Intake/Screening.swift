import Filtering
import Mail
import NIOCore
import Queue
import SMTP

/// What filters say is heard before the client hears 250.
extension MessageInProgress {
    /// Octets that are read at a time.
    private static let piece = 256 << 10

    /// A message in memory.
    func screen(_ content: ByteBuffer, _ kept: Kept, by filter: Filter) {
        check(content, by: filter).assumeIsolated().whenComplete { [self] result in
            guard var kept = handle(result, size: content.readableBytes, kept, by: filter) else { return }
            let edited = edit(content, &kept)
            seal(edited, kept.value)
        }
    }

    /// A message in a file, which is read again where it is not too large for a check.
    func screen(_ writer: any ContentWriter, _ kept: Kept, by filter: Filter) {
        let octets = written
        guard octets - header.start <= filter.configuration.maxSize else {
            let handled = handle(.success(filter.unasked(.tooLarge)), size: octets, kept, by: filter)
            if let handled { seal(writer, handled.value) }
            return
        }
        guard filter.reserve(octets) else {
            let result = filter.unasked(.unavailable("too much is being checked"))
            let handled = handle(.success(result), size: octets, kept, by: filter)
            if let handled { seal(writer, handled.value) }
            return
        }
        read(after: lastWrite).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .failure(let error):
                filter.release(octets)
                abandon()
                notKept("\(error)", kept)
            case .success(let content):
                check(content, by: filter).assumeIsolated().whenComplete { [self] result in
                    filter.release(octets)
                    guard var kept = handle(result, size: octets, kept, by: filter) else { return }
                    let edited = edit(content, &kept)
                    guard !kept.changes.isEmpty else { return seal(writer, kept.value) }
                    seal(writer, rewritten: edited, kept.value)
                }
            }
        }
    }

    private func check(_ content: ByteBuffer, by filter: Filter) -> EventLoopFuture<CheckResult> {
        reception.clientName.assumeIsolated().flatMap { [self] name in
            filter.check(question(content, from: name), on: loop)
        }.nonisolated()
    }

    /// A message that is taken, and what is to be changed about it.
    private struct Taken {
        var value: Kept
        var changes = Verdict.Changes()
    }

    /// - Returns: nil where it was refused.
    private func handle(
        _ result: Result<CheckResult, any Error>, size: Int, _ kept: Kept, by filter: Filter
    ) -> Taken? {
        let result = (try? result.get()) ?? .unavailable("the check broke")
        var taken = Taken(value: kept)
        switch filter.configuration.handling(of: result, customer: customer, own: ownPolicy) {
        case .refuse(let refusal):
            let line = refusal.line(id: id)
            services.log.turnedAway(line, because: result.said, message: acceptance(size))
            abandon()
            kept.answer(.turnedAway(line))
            return nil
        case .accept(let screening, let changes):
            taken.value.screening = screening
            taken.changes = changes
        case .hold(let screening, let changes, let reason):
            taken.value.screening = screening
            taken.value.hold = reason
            taken.changes = changes
        }
        return taken
    }

    private func edit(_ content: ByteBuffer, _ taken: inout Taken) -> ByteBuffer {
        guard !taken.changes.isEmpty else { return content }
        var edits = HeaderEdits(content: content, start: ours, eightBit: taken.value.eightBit)
        edits.apply(taken.changes)
        taken.value.eightBit = edits.eightBit
        taken.value.screening = taken.value.screening?.with(changes: edits.notes)
        if !edits.spared.isEmpty {
            services.log.spared(edits.spared, signed: edits.signers, message: acceptance(content.readableBytes - ours))
        }
        return edits.content
    }

    // MARK: reading

    private func read(after written: EventLoopFuture<Void>?) -> EventLoopFuture<ByteBuffer> {
        let (files, loop, name) = (services.contentFiles, loop, id.description)
        return (written ?? loop.makeSucceededVoidFuture()).flatMap { files.read(name, on: loop) }.flatMap { reader in
            Self.rest(of: reader, after: ByteBuffer(), on: loop).always { _ in reader.close() }
        }
    }

    private static func rest(
        of reader: any ContentReader, after content: ByteBuffer, on loop: any EventLoop
    ) -> EventLoopFuture<ByteBuffer> {
        reader.next(piece).flatMap { part in
            guard let part else { return loop.makeSucceededFuture(content) }
            var content = content
            content.writeImmutableBuffer(part)
            return rest(of: reader, after: content, on: loop)
        }
    }
}
