"""Which of the 80 object categories of COCO a caption mentions: a table of words of our own, and how it is applied.

The table was written for this project from the description of CHAIR (Rohrbach et al. 2018): common English nouns that a
caption uses for an object of each category. Plurals are formed from it.
"""

from __future__ import annotations

from functools import cache

from hificl.metrics.object_words import POSSESSIVE, longest_phrases, words_of

_WORDS = """
person: man, woman, boy, girl, child, kid, baby, toddler, infant, adult, teenager, teen, youth, guy, gentleman,
    lady, male, female, human, people, crowd, someone, pedestrian, passenger, driver, rider, cyclist, bicyclist,
    biker, motorcyclist, skateboarder, skater, snowboarder, skier, surfer, swimmer, player, batter, catcher,
    pitcher, umpire, athlete, baseball player, tennis player, soccer player, referee, coach, spectator, onlooker,
    chef, cook, baker, waiter, waitress, server, bartender, vendor, worker, employee, farmer, fisherman, fireman,
    firefighter, policeman, policewoman, police officer, officer, cop, soldier, sailor, pilot, conductor, doctor,
    nurse, teacher, student, businessman, businesswoman, customer, shopper, tourist, traveler, couple, family,
    mother, father, mom, dad, son, daughter, brother, sister, friend, bride, groom, husband, wife, grandmother,
    grandfather, cowboy, jockey, hiker, jogger, runner, walker, photographer, musician, guitarist, artist, dancer,
    singer, speaker, monk, priest, king, queen, clown, individual, guest
bicycle: bike, cycle, mountain bike, road bike, tricycle, unicycle, bmx
car: automobile, sedan, minivan, van, suv, hatchback, jeep, taxi, cab, taxi cab, limo, limousine, sports car, police
    car, convertible, coupe, station wagon
motorcycle: motorbike, motor bike, motor cycle, motor scooter, scooter, moped, dirt bike, vespa
airplane: aeroplane, plane, air plane, jet, jetliner, airliner, aircraft, jumbo jet, biplane, seaplane, fighter jet
bus: minibus, school bus, tour bus, double decker bus, trolleybus, trolley bus, motor coach
train: locomotive, subway train, tram, streetcar, trolley, steam engine, railcar, monorail, train car
truck: pickup, pickup truck, lorry, fire truck, firetruck, fire engine, tow truck, dump truck, semi, semi truck,
    tractor trailer, delivery truck, food truck, garbage truck, trailer truck
boat: ship, sailboat, canoe, kayak, rowboat, motorboat, speedboat, ferry, yacht, dinghy, raft, gondola, barge,
    tugboat, cruise ship, fishing boat, vessel, catamaran
traffic light: traffic signal, stop light, stoplight, street light, streetlight, signal light, traffic lamp
fire hydrant: hydrant, fire plug
stop sign: stopsign
parking meter: meter
bench: park bench, pew
bird: pigeon, seagull, gull, duck, duckling, goose, gosling, swan, parrot, parakeet, owl, eagle, hawk, falcon, crow,
    raven, sparrow, robin, finch, hen, rooster, chicken hawk, chick, peacock, ostrich, emu, flamingo, pelican,
    heron, crane bird, stork, penguin, turkey bird, dove, hummingbird, woodpecker, cardinal, blue jay, canary,
    cockatoo, vulture
cat: kitten, kitty, feline, tabby, tomcat
dog: puppy, pup, canine, poodle, terrier, labrador, retriever, golden retriever, german shepherd, beagle, bulldog,
    collie, dachshund, chihuahua, husky, dalmatian, pug, corgi, spaniel, sheepdog, hound, mutt
horse: pony, foal, colt, mare, stallion, mustang
sheep: lamb, ewe, ram
cow: cattle, bull, calf, ox, heifer, steer, longhorn, bovine
elephant: baby elephant
bear: polar bear, grizzly bear, grizzly, brown bear, black bear, panda bear, panda, bear cub
zebra:
giraffe:
backpack: back pack, knapsack, rucksack, book bag, bookbag
umbrella: parasol
handbag: hand bag, purse, pocketbook, wallet
tie: necktie, neck tie, bow tie, bowtie
suitcase: suit case, luggage, briefcase, suitcases
frisbee: flying disc, flying disk
skis: ski, pair of skis
snowboard: snow board
sports ball: ball, baseball, softball, tennis ball, soccer ball, football, basketball, volleyball, beach ball, golf
    ball, soccerball
kite: paraglider
baseball bat: bat
baseball glove: baseball mitt, mitt, catcher's mitt, catchers mitt
skateboard: skate board, longboard
surfboard: surf board, boogie board, body board, bodyboard, paddle board, paddleboard
tennis racket: tennis racquet, racket, racquet
bottle: wine bottle, beer bottle, water bottle
wine glass: wineglass, goblet, champagne glass, champagne flute
cup: mug, coffee cup, tea cup, teacup, coffee mug, paper cup
fork: pitchfork
knife: pocket knife, butter knife, steak knife, cleaver
spoon: teaspoon, tablespoon, ladle
bowl: container, fruit bowl, salad bowl
banana: plantain
apple:
sandwich: burger, hamburger, cheeseburger, sub sandwich, panini, blt
orange: tangerine, clementine, mandarin
broccoli:
carrot: baby carrot
hot dog: hotdog, frankfurter, corn dog, bratwurst
pizza: pizza pie
donut: doughnut, bagel
cake: cupcake, cheesecake, birthday cake, wedding cake, layer cake
chair: seat, stool, armchair, arm chair, recliner, rocking chair, high chair, highchair, lawn chair, office chair,
    beach chair
couch: sofa, loveseat, love seat, settee, futon
potted plant: houseplant, house plant, plant, bonsai
bed: bunk bed, bunkbed, mattress, crib
dining table: table, desk, coffee table, kitchen table, picnic table, end table, side table, dinner table
toilet: commode, urinal, toilet bowl, toilet seat
tv: television, television set, tv set, flat screen, flat screen tv, t v
laptop: laptop computer, notebook computer, computer, lap top, macbook
mouse: computer mouse
remote: remote control, controller, game controller, wii remote, wii controller
keyboard: computer keyboard
cell phone: cellphone, mobile phone, phone, smartphone, smart phone, iphone, telephone
microwave: microwave oven
oven: stove, stovetop, stove top, stove top oven, range oven
toaster: toaster oven
sink: wash basin, washbasin, basin
refrigerator: fridge, freezer, icebox
book: novel, textbook, paperback, cookbook
clock: alarm clock, clock tower, grandfather clock, wall clock
vase: flower vase, urn
scissors: shears, pair of scissors
teddy bear: teddy, stuffed bear, stuffed animal, plush bear
hair drier: hair dryer, hairdryer, hairdrier, blow dryer, blowdryer
toothbrush: tooth brush
"""

# Before these, "baby" and "adult" say how old the animal is, not that there is a person ("passenger": train or jet).
_ANIMALS = ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "animal", "cub")
_VEHICLES = ("jet", "train")
_NO_OBJECT = ("train track", "home plate", "baby animal", "adult animal", "baby cub", "adult cub")

_IRREGULAR = {
    "man": "men", "woman": "women", "child": "children", "person": "people", "foot": "feet", "goose": "geese",
    "mouse": "mice", "sheep": "sheep", "ox": "oxen", "calf": "calves", "knife": "knives", "wife": "wives",
    "scissors": "scissors", "skis": "skis", "cattle": "cattle", "people": "people", "shears": "shears",
    "luggage": "luggage", "aircraft": "aircraft", "broccoli": "broccoli",
}  # fmt: skip


def coco_objects(text: str) -> list[str]:
    """Name the object categories of COCO that a text mentions, once per mention, in order.

    The longest known phrase wins ("hot dog" is no dog, "train track" no train). "Baby" and "adult" before an animal and
    "passenger" before a vehicle mention no person; "seat" is no chair in a text with "toilet". As in the protocol, a
    word counts whatever it means: an orange cat mentions an orange.

    Example:
        >>> coco_objects("Two men and a baby elephant near the train tracks.")
        ['person', 'elephant']
    """
    phrases, longest = _phrases()
    mentions = [(phrase, phrases[phrase]) for phrase in longest_phrases(words_of(text), phrases, longest)]
    toilet = any(category == "toilet" for _, category in mentions)
    return [category for phrase, category in mentions if category and not (toilet and phrase in ("seat", "seats"))]


@cache
def categories() -> frozenset[str]:
    """The names of the 80 categories."""
    return frozenset(line.split(":")[0] for line in _lines())


@cache
def _phrases() -> tuple[dict[str, str], int]:
    """The category of every known phrase, singular and plural ("" where it is none), and the most words of one."""
    found: dict[str, str] = {}
    for line in _lines():
        category, _, words = line.partition(":")
        for phrase in [category, *(word.strip() for word in words.split(",") if word.strip())]:
            found |= {POSSESSIVE.sub("", phrase): category, _plural(POSSESSIVE.sub("", phrase)): category}
    for prefix, names in (("baby", _ANIMALS), ("adult", _ANIMALS), ("passenger", _VEHICLES)):
        for name in names:
            if name in found:
                found |= {f"{prefix} {name}": found[name], f"{prefix} {_plural(name)}": found[name]}
    for phrase in _NO_OBJECT:
        found |= {phrase: "", _plural(phrase): ""}
    return found, max(len(phrase.split()) for phrase in found)


def _lines() -> list[str]:
    """One line per category: its name, a colon, its words."""
    return _WORDS.strip().replace("\n    ", " ").split("\n")


def _plural(phrase: str) -> str:
    *before, noun = phrase.split()
    # "policewoman" and "grandchild" end in a word with a plural of its own; "human" does not.
    for singular, plural in _IRREGULAR.items():
        if noun == singular or (noun.endswith(singular) and singular in ("man", "woman", "child") and noun != "human"):
            return " ".join([*before, noun.removesuffix(singular) + plural])
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        plural = noun + "es"
    elif noun.endswith("y") and noun[-2:-1] not in "aeiou":
        plural = noun[:-1] + "ies"
    else:
        plural = noun + "s"
    return " ".join([*before, plural])
