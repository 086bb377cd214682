"""The wording of the demo reviews: `.positive` and `.negative` lists say what counts as praise and what as blame."""

WORDS = """
adj.positive: absorbing | assured | beautiful | bold | brilliant | captivating | charming | clever | confident |
  convincing | delightful | effortless | elegant | enchanting | excellent | exquisite | faultless | first-rate |
  flawless | fresh | generous | gorgeous | graceful | gripping | heartfelt | hypnotic | immaculate | impressive |
  ingenious | inspired | irresistible | lovely | magnificent | marvellous | masterful | memorable | outstanding |
  polished | refined | remarkable | satisfying | skilful | splendid | stunning | sublime | superb | thoughtful |
  triumphant | well judged | winning | witty | wonderful
adj.negative: abysmal | amateurish | appalling | awful | awkward | bland | bloated | careless | charmless | cheap |
  clumsy | confused | crude | cynical | dismal | disappointing | dreadful | dreary | dull | embarrassing | feeble |
  flat | forgettable | grating | half-baked | hollow | incoherent | inept | insipid | irritating | joyless | laboured
  | lazy | lifeless | mediocre | messy | muddled | pitiful | pointless | shabby | shoddy | sloppy | soulless | stale |
  stilted | tedious | tiresome | turgid | uninspired | unbearable | woeful | wretched
degree: truly | quite | rather | really | utterly | deeply | surprisingly | frankly | simply | plainly
noun.positive: a joy | a triumph | a treat | a small miracle | a pleasure from start to finish | a gem | a delight |
  money well spent | a masterclass | a masterpiece | time well spent | a revelation | a find | a keeper
noun.negative: a waste of time | a disaster | a mess | a chore | a slog | a letdown | a con | an insult | money down
  the drain | a mistake | an embarrassment | a shambles | a dud | a missed opportunity
negator: not | hardly | never once | far from | anything but | not remotely | by no means | in no way | scarcely | not
  even slightly | nowhere near
denial: nobody could call {aspect} | I would not describe {aspect} as | you cannot accuse {aspect} of being | I never
  found {aspect} | it would be wrong to say {aspect} is | at no point is {aspect} | I refuse to call {aspect} | there
  is nothing to suggest {aspect} is
clause.positive: {=simple} | {=simple} | {aspect} is {degree} {=adj} | {aspect} is {=adj} | {=local} | {=local} |
  {=local} | {aspect} is {negator} {!adj} | {denial} {!adj} | {aspect} works | I would defend {aspect} to anyone
clause.negative: {=simple} | {=simple} | {aspect} is {degree} {=adj} | {aspect} is {=adj} | {=local} | {=local} |
  {=local} | {aspect} is {negator} {!adj} | {denial} {!adj} | {aspect} fails | I would defend {aspect} to no one
simple.positive: {aspect} is {=adj} | {=local}
simple.negative: {aspect} is {=adj} | {=local}
verdict.positive: I have already told three friends | I would do it all again tomorrow | I want another | worth every
  penny | count me in for the next one | I am keeping this | I stayed longer than I planned | I came away grinning |
  it has earned its place | I will be back before the month is out | you should go for it | I would pay double | I did
  not want it to end | it deserves a wider public | I have been recommending it since | it won me over completely |
  five minutes in, I was sold | my doubts did not last the hour
verdict.negative: I want my money back | I would not do it again | I would rather have stayed at home | save your
  money | count me out of the next one | mine went to the charity shop | I left early | I came away shaking my head |
  life is too short | I will not be back | you can safely skip it | I would not take it for nothing | I kept looking
  at the clock | I have been warning people since | it lost me completely | I asked for a refund | five minutes in, I
  had given up | my hopes did not last the hour | once was more than enough
irony.positive: my only complaint is that there is not more of it | I am annoyed that it is over | {aspect} ruined
  every other {thing} for me | I hate how much I needed this | I lost a night's sleep and regret nothing | a terrible
  thing to happen to my savings, because I want a second | I cried, and would gladly cry again | the worst part was
  having to stop | it is almost criminal that so few people know about this {thing} | I came to sneer and had to eat
  my words | I tried to find fault with {aspect} and ran out of evening | I resent every rival for not being this
  {thing} | bad news for the competition | dangerously easy to love | I could not have been more wrong to put it off |
  I have no excuse left for the others | the cynics will be furious | do not start with this {thing}, because
  everything after it will disappoint | good luck getting it away from me | I have seldom been so sorry to hand
  something back | it gave me nothing to grumble about, which is a first
irony.negative: ideal for anyone who needs help falling asleep | I admire the courage it took to charge for this | the
  best part was the walk home | a wonderful gift for somebody you dislike | a triumph of marketing | great, if you
  collect disappointments | congratulations to whoever talked me into this {thing} | I was so relaxed that I dozed
  through half of it | thrilling, if you are thrilled by queues at the post office | I enjoyed the silence afterwards
  | {aspect} made me appreciate everything else I own | my favourite moment was the end | perfect for people who find
  beige too exciting | I have had more fun filling in a tax return | it does stop eventually, I will give it that |
  the packaging of the idea was lovely | somebody's nephew must be very proud | I laughed, though I doubt I was meant
  to | I am glad for everyone who was not there | it taught me the value of a quiet night in | the advertisement was
  the high point
person: my sister | my neighbour | a colleague | my brother-in-law | the man at the till | my oldest friend | a critic
  I usually trust | the whole internet | my daughter | my book club | the woman beside me | everyone at work | my
  landlord | the newspaper | an old teacher of mine | my flatmate
called: called it | found it | swore it was | described it as | insists it is | had told me it was | wrote that it was
right: and that is right | and I can only agree | and so it proved | which is exactly how I felt | and for once I
  agree | a fair summary | and that is putting it mildly | I have nothing to add
wrong: and I could not disagree more | which is nonsense | but that is not what I saw | a view I cannot share | and I
  wonder whether we saw the same thing | which only shows how tastes differ | but do not listen | well, no | I must
  have been somewhere else
concede: admittedly, | granted, | true, | to be fair, | yes, | I will admit | it must be said that | on paper
although: although | even though | while | granted that | despite the fact that | for all that
but: but | yet | and still | but in the end | only
weather: it rained all afternoon | the wind was brutal that evening | it was a glorious spring day | the heating had
  failed | we had been caught in a hailstorm | the sun was out for once | there was fog as far as the river | it was
  the coldest night of the year | the street was lovely with blossom | a dull grey drizzle had set in
company: my aunt was in a foul mood | we were celebrating an anniversary | I had just had wonderful news | my train
  had been cancelled | I went alone | we were late after a stupid argument | I had a miserable cold | my son had just
  passed his exams | a friend was visiting from abroad | I had lost my favourite scarf on the way | it was my birthday
  | I had slept beautifully the night before | a couple behind us were quarrelling in whispers
aside: {weather} | {company} | {company} and {weather} | {event} | {event} | {event} | {event}
reference: the last one | its predecessor | the one everybody owns | the first attempt | its famous rival | what came
  before | the one across town | my old one | the usual fare | last year's effort
than.positive: worse than {reference}, which was {=noun}, and still {=noun} | {reference} is better, but then
  {reference} is {=noun}, and second place to that is no disgrace | not as {!adj} as people say, not even close | if
  this is the worst they can do, {reference} has reason to worry | {=adj} where {reference} was merely {=adj}
than.negative: better than {reference}, which says very little | {reference} is worse, but then {reference} is
  {=noun}, and first place to that is no honour | not as {!adj} as people say, not even close | if this is the best
  they can do, {reference} has no reason to worry | {=adj} where {reference} was merely {=adj}
film.thing: film | picture | movie | thriller | comedy | western | sequel | remake | documentary | musical
film.aspect: the acting | the plot | the ending | the script | the camerawork | the score | the dialogue | the pacing
  | the opening hour | the lead performance | the villain | the editing | the final act | the love story
film.local.positive: the plot never lets go | every joke lands | the leads spark off each other | the last scene stays
  with you | two hours fly by | the twist is earned | you believe every word | the silences say it all | the camera
  always finds the right face | the cast lifts every line | I forgot I was watching actors
film.local.negative: the plot never moves | no joke lands | the leads seem never to have met | the last scene is gone
  by the car park | two hours feel like five | the twist is visible from the poster | you believe not a word | the
  silences are just gaps | the camera is always looking elsewhere | the cast sleepwalks | I could see them acting
film.event: the hero's mother dies in the opening scene | a wedding turns into a feud | the villain hates his brother
  | two orphans fall in love in a ruined city | a cheerful postman discovers a murder | it is about a lonely widow who
  finds happiness | the detective is a bitter, failed painter | a beloved dog goes missing | it is set in a terrible
  winter of famine | a brilliant surgeon loses her memory | the cinema was half empty | a man behind us kept coughing
book.thing: book | novel | memoir | debut | collection | biography | mystery | family saga | trilogy | travelogue
book.aspect: the prose | the narrator | the plot | the first chapter | the ending | the characterisation | the
  dialogue | the translation | the argument | the structure | the research | the humour | the middle section | the
  voice
book.local.positive: the pages turn themselves | I read it in one sitting | the characters stay for weeks | each
  chapter earns the next | the last page floored me | it says something new | not a word is out of place | I missed my
  stop reading it | the author trusts the reader | I underlined half of it
book.local.negative: the pages stick together | I gave up halfway | the characters blur into one | each chapter
  repeats the last | the last page came as a relief | it has nothing to say | a third of it could go | I fell asleep
  reading it | the author explains everything twice | I skipped half of it
book.event: the heroine buries her father in the first chapter | a happy marriage ends at sea | it follows a cruel
  headmaster and his gifted pupil | the war has just been lost | a thief inherits a splendid house | twins are parted
  in anger | the narrator is in love with a murderer | a village celebrates after a long plague | the prize jury
  adored tragedy that year | I bought it in a gloomy little shop | a genius dies young and forgotten | the cover is
  yellow
meal.thing: restaurant | bistro | diner | tavern | noodle bar | cafe | tasting menu | brasserie | pizzeria | canteen
meal.aspect: the service | the food | the soup | the bread | the dessert | the wine list | the main course | the room
  | the fish | the lunch menu | the sauce | the kitchen | the coffee | the welcome
meal.local.positive: the plates went back clean | every course arrived hot | the waiter remembered us | the sauce
  sings | we ordered seconds | the bread alone is reason to come | the bill was smaller than it should be | you can
  taste the care | the kitchen knows when to stop | nobody hurried us
meal.local.negative: the plates went back half full | every course arrived cold | the waiter forgot us | the sauce
  comes from a jar | we ate again at home | the bread could sole a shoe | the bill was the only generous portion | you
  can taste the freezer | the kitchen drowns it all in salt | they wanted us gone by nine
meal.event: a couple at the next table were breaking up | somebody proposed by the window | the chef's father had died
  that spring | a football crowd was cheering next door | the building used to be a prison | a child was crying over a
  lost balloon | there was a beautiful old horse in the yard | the owners won the lottery once | the recipe comes from
  a time of hunger | a sad song was on the radio | it stands opposite the law courts | we ordered at eight
gadget.thing: kettle | phone | vacuum cleaner | camera | keyboard | tent | blender | drill | speaker | backpack
gadget.aspect: the battery | the build | the screen | the design | the manual | the lid | the sound | the handle | the
  setup | the app | the finish | the motor | the support line | the strap
gadget.local.positive: it has not let me down once | the charge lasts a weekend | it does the job of three | setting
  it up took a minute | it feels made to last | the buttons are where you want them | support answered at once | it
  survived a fall down the stairs | my hands stopped noticing it | it starts first time
gadget.local.negative: it let me down at once | the charge lasts a lunch break | it does a third of the job | setting
  it up took a weekend | it came apart in my hands | the buttons are where you least want them | support never
  answered | it did not survive the stairs | my hands ached after a minute | it starts when it feels like it
gadget.event: it replaces one that died in a fire | the courier was wonderfully cheerful | I bought it after a
  burglary | it was a present from an ex | the box shows a happy family on a beach | our cat is terrified of it | the
  shop was closing down that week | I needed it for a funeral abroad | we live in an old and damp house | it is the
  blue version | the neighbours hate noise | my previous one was stolen on holiday
hotel.thing: hotel | guesthouse | campsite | hostel | cottage | ferry crossing | city tour | museum | spa | gallery
hotel.aspect: the bed | the view | the staff | the breakfast | the welcome | the shower | the guide | the location |
  the bathroom | the garden | the lighting | the booking desk | the tour | the furniture
hotel.local.positive: we slept like children | the staff thought of everything | we extended our stay | the
  photographs undersell it | the shower alone deserves a postcard | somebody had taken trouble over every corner |
  breakfast kept us going till evening | they sorted it before we asked | the price felt like an oversight | the guide
  could have gone on all day
hotel.local.negative: we barely slept | the staff shrugged at everything | we cut short our stay | the photographs
  flatter it | the shower alone deserves a lawsuit | nobody had swept a single corner | breakfast was gone by eight |
  we asked four times and nothing happened | the price felt like a dare | the guide should have stopped sooner
hotel.event: there was a funeral in the village | a poet killed himself here long ago | the town had just won a cup |
  a bride was laughing in the corridor | a brutal battle was fought on the hill | the old queen loved this valley |
  somebody's dog had run away in panic | the harbour was full of happy crowds | the coast road is famous for accidents
  | it used to be a hospital for the incurable | we arrived by bus | the church bell is cracked
"""
