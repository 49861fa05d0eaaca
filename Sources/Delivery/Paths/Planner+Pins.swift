import Mail
import Queue

/// First contact: a greylister wants the same address again, for each sender and recipient.
extension Planner {
    /// The receiver wants these to come again from the same source.
    mutating func pin(_ recipients: [Address], of message: QueuedMessage, to session: OpenSession) {
        for recipient in recipients {
            keep(
                Pin(source: session.plan.source.address, expires: now + Pin.patience),
                for: Triple(sender: message.sender, recipient: recipient), at: session.receiver)
        }
    }

    mutating func keep(_ pin: Pin, for triple: Triple, at receiver: Receiver) {
        if let (receiver, oldest) = pins.set(pin, for: triple, at: receiver) { noteChange(.pin(oldest), receiver) }
        noteChange(.pin(triple), receiver)
    }

    /// The receiver took the message from the pinned source: it knows the triple by now.
    mutating func passed(_ recipients: [Address], of message: QueuedMessage, on session: OpenSession) {
        let receiver = session.receiver
        guard !receiver.pins.isEmpty else { return }
        for recipient in recipients {
            let triple = Triple(sender: message.sender, recipient: recipient)
            guard var pin = receiver.pins[triple], pin.source == session.plan.source.address,
                !pin.passed || pin.expires < now + .days(29)
            else { continue }
            pin.passed = true
            pin.expires = now + Pin.acquaintance
            keep(pin, for: triple, at: receiver)
        }
    }

    /// Gives a parcel the source that its triples keep, where they have one.
    mutating func usePins(_ parcel: Parcel, at site: Site) {
        let receiver = site.receiver
        guard !receiver.pins.isEmpty, parcel.pinned == nil else { return }
        for index in parcel.pieces.indices {
            for recipient in parcel.pieces[index].next {
                let triple = Triple(sender: parcel.message.sender, recipient: recipient)
                guard let pin = receiver.pins[triple] else { continue }
                if let name = usable(pin, triple, at: receiver), !parcel.tried.contains(name) {
                    parcel.pieces[index].work.progress.pinned = name
                    return
                }
            }
        }
    }

    /// The name of a pin's source; one that cannot be used any more is released.
    private mutating func usable(_ pin: Pin, _ triple: Triple, at receiver: Receiver) -> String? {
        let name = table.number(of: pin.source).map { table.sources[$0].name }
        let why = name.map { whyReleased($0, at: receiver) } ?? "no pool has it"
        guard pin.expires <= now || why != nil else { return name }
        pins.remove(triple, at: receiver)
        noteChange(.pin(triple), receiver)
        if let why { log(.pinReleased, receiver, pin.source.description, why) }
        return nil
    }

    /// Why nobody waits for a source that a greylister knows; nil where it is worth waiting for.
    func whyReleased(_ name: String, at receiver: Receiver) -> String? {
        if let why = whyOutOfUse(name) { return why }
        let isResting = table.number(of: name).map { receiver.isResting(table.sources[$0], at: now) } ?? false
        return isResting ? "it rests for this receiver" : nil
    }

    func whyOutOfUse(_ name: String) -> String? {
        guard let number = table.number(of: name) else { return "no pool has it" }
        return held[number].map { "it is \($0.kind.rawValue)" }
    }

    /// A message keeps a source that cannot be used any more: it goes from others.
    mutating func release(_ parcel: Parcel, from name: String, at site: Site, why: String) {
        for index in parcel.pieces.indices where parcel.pieces[index].work.progress.pinned == name {
            parcel.pieces[index].work.progress.pinned = nil
            parcel.pieces[index].noted = true
        }
        log(.pinReleased, site.receiver, name, why)
    }
}
