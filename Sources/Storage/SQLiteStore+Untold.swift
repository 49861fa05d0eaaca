package import Mail
import NIOCore
package import Queue

// What notices are made of; asked for by their thread, on the connection that people's questions take as well.
extension SQLiteStore {
    package func untold(after cursor: UntoldCursor?, limit: Int) throws -> [UntoldCursor] {
        try viewer().run { access in
            var found: [UntoldCursor] = []
            try access.statement(SQL.untold).bind(1, cursor?.at.milliseconds ?? .min)
                .bind(2, cursor?.message ?? MessageID(value: 0)).bind(3, Int64(limit)).rows { row in
                    let next = UntoldCursor(at: row.time(0), message: row.id(1), hasEnded: row.integer(2) != 0)
                    if found.last != next { found.append(next) }
                    return true
                }
            return found
        }
    }

    package func untoldMessage(_ id: MessageID) throws -> UntoldMessage? {
        try viewer().run { access in
            let reports = try reports(of: id, access)
            guard !reports.isEmpty else { return nil }
            let stored = try access.statement(SQL.messageWithContent).bind(1, id).first { row in
                envelope(id, row, 0, content: { row.buffer(1) })
            }
            guard let stored, let stored else { return nil }
            var waiting: Set<Address> = []
            try access.statement(SQL.parts).bind(1, id).rows { row in
                if let part = part(id, row) { waiting.formUnion(part.recipients) }
                return true
            }
            return UntoldMessage(
                message: stored.message, recipients: stored.recipients, reports: reports, waiting: waiting)
        }
    }

    package func waiting(after id: MessageID, through: MessageID, limit: Int) throws -> [MessageID] {
        try viewer().run { access in
            var found: [MessageID] = []
            try access.statement(SQL.waitingMessages).bind(1, id).bind(2, through).bind(3, Int64(limit)).rows { row in
                found.append(row.id(0))
                return true
            }
            return found
        }
    }

    func reports(of id: MessageID, _ access: Access) throws -> [RecipientReport] {
        var reports: [RecipientReport] = []
        try access.statement(SQL.reports).bind(1, id).rows { row in
            let (refusal, way) = refusal(id, row)
            reports.append(
                RecipientReport(
                    recipient: Address(localPart: row.text(1), domain: row.text(0)),
                    kind: RecipientReport.Kind(rawValue: UInt8(clamping: row.integer(2))) ?? .failed,
                    reason: row.text(3), refusal: refusal, at: row.time(4), way: way))
            return true
        }
        return reports
    }

    /// One that cannot be read is left out: the sender is told all the same.
    private func refusal(_ id: MessageID, _ row: Prepared) -> (Refusal?, RecipientReport.Way?) {
        guard !row.isNull(5) else { return (nil, nil) }
        do {
            var unpacker = row.unpacker(5)
            return (try unpacker.refusal(), try unpacker.way())
        } catch {
            unreadable(error, id)
            return (nil, nil)
        }
    }
}
