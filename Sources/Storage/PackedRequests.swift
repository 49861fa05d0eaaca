import Mail

// What a sender asked of notices, as it stands behind a message's recipients. A recipient is named by its place among
// them, and an ORCPT that says what RCPT says takes one bit: many servers send it with every recipient.

private let hasNotify: UInt8 = 8
private let hasOriginal: UInt8 = 16
private let sameOriginal: UInt8 = 32

extension Packer {
    mutating func request(_ request: NoticeRequest, of recipients: [Address]) {
        byte(request.returned?.rawValue ?? 0)
        optionalText(request.envelopeID)
        // Both are in the order of RCPT.
        var place = 0
        var found: [(place: Int, entry: NoticeRequest.Entry)] = []
        for entry in request.recipients {
            while place < recipients.count, recipients[place] != entry.address { place += 1 }
            guard place < recipients.count else { break }
            found.append((place, entry))
            place += 1
        }
        list(found) { packer, item in
            packer.number(UInt64(item.place))
            packer.request(item.entry.request, of: item.entry.address)
        }
    }

    private mutating func request(_ request: RecipientRequest, of address: Address) {
        var flags: UInt8 = 0
        if let notify = request.notify { flags |= hasNotify | notify.rawValue & 7 }
        let isSame = request.original == "rfc822;\(address)"
        if request.original != nil { flags |= isSame ? sameOriginal : hasOriginal }
        byte(flags)
        if let original = request.original, !isSame { text(original) }
    }
}

extension Unpacker {
    mutating func request(of recipients: [Address]) throws(Unreadable) -> NoticeRequest {
        let returned = try byte()
        guard returned < 3 else { throw Unreadable(description: "unknown RET \(returned)") }
        var request = NoticeRequest(
            returned: NoticeRequest.Returned(rawValue: returned), envelopeID: try optionalText())
        let entries = try list { (unpacker: inout Unpacker) throws(Unreadable) in
            try unpacker.entry(of: recipients)
        }
        for entry in entries { request.add(entry.address, entry.request) }
        return request
    }

    private mutating func entry(of recipients: [Address]) throws(Unreadable) -> NoticeRequest.Entry {
        let place = try number()
        guard place < UInt64(recipients.count) else { throw Unreadable(description: "no recipient \(place)") }
        let address = recipients[Int(place)]
        let flags = try byte()
        guard flags < 64 else { throw Unreadable(description: "unknown flags \(flags) of a recipient") }
        var wish = RecipientRequest()
        if flags & hasNotify != 0 { wish.notify = RecipientRequest.Notify(rawValue: flags & 7) }
        if flags & sameOriginal != 0 {
            wish.original = "rfc822;\(address)"
        } else if flags & hasOriginal != 0 {
            wish.original = try text()
        }
        return NoticeRequest.Entry(address: address, request: wish)
    }
}
